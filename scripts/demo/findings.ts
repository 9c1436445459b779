import type { Fed } from './feed.ts'

/** What a run with an end left behind. */
export interface RunOutcome {
  /** Scored events with a score. */
  readonly scores: number
  readonly lakeRows: { readonly events: number; readonly scores: number }
  /** Events of the lake with an id of their own, and with bytes of their own: a copy has neither. */
  readonly lakeEvents: { readonly ids: number; readonly contents: number }
  /** By code. */
  readonly deadLetters: ReadonlyMap<string, number>
  readonly mismatches: number
  readonly verified: boolean
}

/** Copies that the feed sent, because an acknowledgement came too late: each is refused, kept, and counts once. */
export function copiesIn({ lakeRows, lakeEvents }: RunOutcome): number {
  return lakeRows.events - lakeEvents.contents
}

/**
 * What is wrong with a run, one sentence each; none when it is well. Copies are not: the log takes events at least once,
 * and a batch that was not acknowledged in time is sent again. What counts twice or is missing is.
 */
export function findings(fed: Pick<Fed, 'scored' | 'labels'>, outcome: RunOutcome): string[] {
  const { scores, lakeRows, lakeEvents, deadLetters, mismatches, verified } = outcome
  const sent = fed.scored + fed.labels
  const found: string[] = []
  const expectCount = (what: string, is: number, should: number) => {
    if (is !== should) found.push(`${what}: ${is}, not ${should}`)
  }
  expectCount('scored events with a score', scores, fed.scored)
  expectCount('rows of scores in the lake', lakeRows.scores, fed.scored)
  expectCount('events in the lake by their id', lakeEvents.ids, sent)
  expectCount('events in the lake by their content', lakeEvents.contents, sent)
  for (const [code, count] of deadLetters) {
    if (code !== 'duplicate_event') found.push(`dead letters of code ${code}: ${count}`)
  }
  const repeats = deadLetters.get('duplicate_event') ?? 0
  if (repeats > copiesIn(outcome)) found.push(`repeats refused: ${repeats}, and copies: ${copiesIn(outcome)}`)
  if (mismatches > 0 || !verified) found.push(`verify: ${mismatches} values differ from their recomputation`)
  return found
}
