import type { Fed } from './feed.ts'

/** The results of a run with an end. */
export interface RunOutcome {
  /** Scored events with a score. */
  readonly scores: number
  readonly lakeRows: { readonly events: number; readonly scores: number }
  /** The numbers of distinct ids and of distinct bytes among the lake's events: a copy adds to neither. */
  readonly lakeEvents: { readonly ids: number; readonly contents: number }
  /** By code. */
  readonly deadLetters: ReadonlyMap<string, number>
  readonly mismatches: number
  readonly verified: boolean
}

/**
 * The number of copies that the feed sent because an acknowledgement came late: each is refused, kept, and counts once.
 */
export function copiesIn({ lakeRows, lakeEvents }: RunOutcome): number {
  return lakeRows.events - lakeEvents.contents
}

/**
 * The faults of a run, one sentence each. Copies are none: the log takes events at least once, and the feed sends a
 * batch that was not acknowledged in time again. An event that counts twice or is missing is one.
 */
export function findings(fed: Pick<Fed, 'scored' | 'sent'>, outcome: RunOutcome): string[] {
  const { scores, lakeRows, lakeEvents, deadLetters, mismatches, verified } = outcome
  const found: string[] = []
  const expectCount = (what: string, is: number, should: number) => {
    if (is !== should) found.push(`${what}: ${is}, not ${should}`)
  }
  expectCount('scored events with a score', scores, fed.scored)
  expectCount('rows of scores in the lake', lakeRows.scores, fed.scored)
  expectCount('events in the lake by their id', lakeEvents.ids, fed.sent)
  expectCount('events in the lake by their content', lakeEvents.contents, fed.sent)
  for (const [code, count] of deadLetters) {
    if (code !== 'duplicate_event') found.push(`dead letters of code ${code}: ${count}`)
  }
  const repeats = deadLetters.get('duplicate_event') ?? 0
  if (repeats > copiesIn(outcome)) found.push(`repeats refused: ${repeats}, and copies: ${copiesIn(outcome)}`)
  if (mismatches > 0 || !verified) found.push(`verify: ${mismatches} values differ from their recomputation`)
  return found
}
