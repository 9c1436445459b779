import type { Identity } from './identity-index.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import type { FoundScore } from './score-entry.ts'

/** An answer names at most so many aggregates that have used one event id. */
export const aggregatesMax = 20

/** The result of a look-up. `aggregateId`: that of the requested event. */
export type ScoreAnswer =
  | { readonly kind: 'found'; readonly score: FoundScore }
  /** The log has the event, and no processor has scored it yet. */
  | { readonly kind: 'pending'; readonly aggregateId: string }
  /** A processor applied it without a score: there will be none. */
  | { readonly kind: 'unscored'; readonly aggregateId: string }
  | { readonly kind: 'ambiguous'; readonly aggregateIds: readonly string[] }
  | { readonly kind: 'unknown' }

type Sources = Pick<ServeDependencies, 'hub' | 'spool' | 'ledger' | 'lake'>

/** Looks the score of one event up in memory, on this machine's disk and in the lake. Errors: those of the lake. */
export async function findScore(identity: Identity, { hub, spool, ledger, lake }: Sources): Promise<ScoreAnswer> {
  const { aggregateId, eventId } = identity
  const recent = hub.find(identity) ?? (await spool.find(identity))
  const score = recent ?? (await lake.scores(eventId, { aggregateId, known: [], max: 1 }))[0]
  if (score !== undefined) return { kind: 'found', score }
  const entry = ledger.find(identity)
  if (entry?.isScored !== true) return { kind: 'unknown' }
  return { kind: entry.isUnscored ? 'unscored' : 'pending', aggregateId }
}

/** Looks a score up by the event id alone; ambiguous when more than one aggregate has used it. */
export async function findScoreById(eventId: string, sources: Sources): Promise<ScoreAnswer> {
  const { hub, spool, ledger, lake } = sources
  const max = aggregatesMax + 1
  const scores = new Map<string, FoundScore>()
  const keep = (found: readonly FoundScore[]) => {
    for (const score of found) if (!scores.has(score.aggregateId)) scores.set(score.aggregateId, score)
  }
  keep(hub.sharing(eventId, max))
  keep(await spool.sharing(eventId, max))
  if (scores.size < max) keep(await lake.scores(eventId, { aggregateId: null, known: [...scores.keys()], max }))
  const unscored = ledger
    .sharing(eventId, max)
    .filter(({ isScored, aggregateId }) => isScored && !scores.has(aggregateId))
  const aggregateIds = new Set([...scores.keys(), ...unscored.map(({ aggregateId }) => aggregateId)])
  if (aggregateIds.size > 1)
    return { kind: 'ambiguous', aggregateIds: [...aggregateIds].toSorted().slice(0, aggregatesMax) }
  const [score] = scores.values()
  if (score !== undefined) return { kind: 'found', score }
  const [entry] = unscored
  if (entry === undefined) return { kind: 'unknown' }
  return { kind: entry.isUnscored ? 'unscored' : 'pending', aggregateId: entry.aggregateId }
}

/** The path of the score of an event, for a Location header. */
export function scorePath({ aggregateId, eventId }: Identity): string {
  return `/v1/scores/${encodeURIComponent(eventId)}?aggregateId=${encodeURIComponent(aggregateId)}`
}
