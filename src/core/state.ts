import { assert } from './errors.ts'
import type { EventIdHash } from './event-id-hash.ts'
import type { EntityPlan } from './plan.ts'
import { emptyTiles, copyTiles, type TileTable } from './tiles.ts'
import { hourMs } from './units.ts'

/** Everything known about one entity instance. Never changed once it was written: see {@link beginDraft}. */
export interface EntityState {
  /** The sequence number that the next observation takes. */
  sequence: number
  /** First sequence number of this life. */
  born: number
  /** Newest observation time, null before the first. */
  newestTimeMs: number | null
  /** By partition: the next offset to apply. Everything below is applied (R1). */
  readonly nextOffsets: Map<number, number>
  /** One per tile group of the plan. */
  readonly tiles: TileTable[]
  /** Partition-key entity only: the ids that would be duplicates. Oldest first. */
  readonly recentIds: RecentId[]
  /** By partition: what was handed out for its last batch (R3). */
  readonly snapshots: Map<number, Snapshot[]>
}

export interface RecentId extends EventIdHash {
  /** Where the id was seen first: an event at another offset with this id is a duplicate. */
  readonly offset: number
  /** Hour of the log's append time. */
  readonly appendHour: number
}

export type Outcome = 'applied' | 'too_late' | 'duplicate'

/** What an entity answered to one event; stored until its batch is surely published. */
export interface Snapshot {
  readonly offset: number
  /** The sequence number this event took. */
  readonly sequence: number
  readonly born: number
  readonly outcome: Outcome
  /** The entity's features as the event saw them, in plan order; null for an event that reads nothing. */
  readonly features: readonly (number | null)[] | null
}

/** Deduplication reaches back this far, whichever is less. */
export const deduplication = { hours: 24, ids: 1_000 } as const

/**
 * A state to change, copied from `base`, which stays as it is: caches and other batches may hold it. A new life starts
 * its sequence at the append time in microseconds, above all that an expired life can have had.
 */
export function beginDraft(plan: EntityPlan, base: EntityState | null, appendTimeMs: number): EntityState {
  if (base === null) {
    const first = appendTimeMs * 1_000
    assert(Number.isSafeInteger(first), 'an append time is in milliseconds')
    return {
      sequence: first,
      born: first,
      newestTimeMs: null,
      nextOffsets: new Map(),
      tiles: plan.groups.map(emptyTiles),
      recentIds: [],
      snapshots: new Map(),
    }
  }
  return {
    ...base,
    nextOffsets: new Map(base.nextOffsets),
    tiles: base.tiles.map(copyTiles),
    recentIds: base.recentIds.slice(),
    snapshots: new Map([...base.snapshots].map(([partition, list]) => [partition, list.slice()])),
  }
}

/** True when the id was seen before at another offset, within the deduplication horizon. */
export function isDuplicate(state: EntityState, hash: EventIdHash, offset: number): boolean {
  return state.recentIds.some((seen) => seen.low === hash.low && seen.high === hash.high && seen.offset !== offset)
}

/** Is this id remembered at all? For callers that have no offset yet. */
export function knowsEventId(state: EntityState, hash: EventIdHash): boolean {
  return isDuplicate(state, hash, -1)
}

export function rememberId(state: EntityState, hash: EventIdHash, offset: number, appendTimeMs: number): void {
  const appendHour = Math.floor(appendTimeMs / hourMs)
  state.recentIds.push({ ...hash, offset, appendHour })
  let expired = Math.max(0, state.recentIds.length - deduplication.ids)
  // One hour more than promised, because the hour is all that is stored.
  const oldest = appendHour - deduplication.hours - 1
  while ((state.recentIds[expired]?.appendHour ?? appendHour) < oldest) expired += 1
  if (expired > 0) state.recentIds.splice(0, expired)
}
