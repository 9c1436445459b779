import type { Identity } from './identity-index.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import type { FoundScore } from './score-entry.ts'

/** Aggregates that an answer names when several have used one event id. */
export const aggregatesMax = 20

/** What can be said of a score. `aggregateId`: of the event that was asked for. */
export type ScoreAnswer =
  | { readonly kind: 'found'; readonly score: FoundScore }
  /** The log has the event, and nobody has scored it yet. */
  | { readonly kind: 'pending'; readonly aggregateId: string }
  /** It was applied without a score: there will be none. */
  | { readonly kind: 'unscored'; readonly aggregateId: string }
  | { readonly kind: 'ambiguous'; readonly aggregateIds: readonly string[] }
  | { readonly kind: 'unknown' }

type Sources = Pick<ServeDependencies, 'hub' | 'spool' | 'ledger' | 'lake'>

/** The score of one event: from memory, this machine's disk, the lake, in this order. Errors: those of the lake. */
export async function findScore(identity: Identity, { hub, spool, ledger, lake }: Sources): Promise<ScoreAnswer> {
  const { aggregateId, eventId } = identity
  const recent = hub.find(identity) ?? (await spool.find(identity))
  const score = recent ?? (await lake.scores(eventId, { aggregateId, known: [], max: 1 }))[0]
  if (score !== undefined) return { kind: 'found', score }
  const entry = ledger.find(identity)
  if (entry?.isScored !== true) return { kind: 'unknown' }
  return { kind: entry.isUnscored ? 'unscored' : 'pending', aggregateId }
}

/** The same by the event id alone: refused where more than one aggregate has used it. */
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

/** Where the score of an event is read, for a Location. */
export function scorePath({ aggregateId, eventId }: Identity): string {
  return `/v1/scores/${encodeURIComponent(eventId)}?aggregateId=${encodeURIComponent(aggregateId)}`
}
