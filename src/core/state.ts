import { assert } from './errors.ts'
import type { EventIdHash } from './event-id-hash.ts'
import type { EntityPlan } from './plan.ts'
import type { FeatureFlag } from './flags.ts'
import { emptyTiles, nextVersion, type TileTable } from './tiles.ts'
import { hourMs } from './units.ts'

/** Everything known about one entity instance. Never changed once it was written: see {@link beginDraft}. */
export interface EntityState {
  /** The sequence number that the next observation takes. */
  sequence: number
  /** First sequence number of this life. */
  born: number
  /** Newest observation time, null before the first. */
  newestTimeMs: number | null
  /** One per tile group of the plan. */
  readonly tiles: TileTable[]
  /** Partition-key entity only: the ids that would be duplicates. */
  readonly recentIds: RecentIds
  /** Ascending by partition. The entries are never changed, only replaced. */
  readonly partitions: PartitionProgress[]
}

/** What one partition has done to the entity. */
export interface PartitionProgress {
  readonly partition: number
  /** The next offset to apply: everything below is applied (R1). */
  readonly next: number
  /** What was handed out for the partition's last batch (R3). */
  readonly snapshots: readonly Snapshot[]
}

/** Columns of equal length, oldest first. */
export interface RecentIds {
  /** The two halves of an {@link EventIdHash}, side by side, as signed 32-bit integers. */
  readonly hashes: number[]
  /** Where the id was seen first: an event at another offset with this id is a duplicate. */
  readonly offsets: number[]
  /** Hours since the epoch of the log's append time. */
  readonly appendHours: number[]
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
  readonly flags: readonly FeatureFlag[]
}

/** Of every state that remembers none. */
const noIds: RecentIds = { hashes: [], offsets: [], appendHours: [] }

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
      tiles: plan.groups.map(emptyTiles),
      recentIds: copyOfIds(plan, noIds),
      partitions: [],
    }
  }
  return {
    sequence: base.sequence,
    born: base.born,
    newestTimeMs: base.newestTimeMs,
    tiles: base.tiles.map(nextVersion),
    recentIds: copyOfIds(plan, base.recentIds),
    partitions: base.partitions.slice(),
  }
}

/** Only the partition-key entity adds ids; the others share that they have none. */
function copyOfIds(plan: EntityPlan, { hashes, offsets, appendHours }: RecentIds): RecentIds {
  if (!plan.partitionKey) return noIds
  return { hashes: hashes.slice(), offsets: offsets.slice(), appendHours: appendHours.slice() }
}

export function progressOf(state: EntityState, partition: number): PartitionProgress | null {
  for (const progress of state.partitions) if (progress.partition === partition) return progress
  return null
}

export function setProgress(state: EntityState, progress: PartitionProgress): void {
  const { partitions } = state
  let at = 0
  while (at < partitions.length && (partitions[at]?.partition ?? Infinity) < progress.partition) at += 1
  if (partitions[at]?.partition === progress.partition) partitions[at] = progress
  else partitions.splice(at, 0, progress)
}

/** True when the id was seen before at another offset, within the deduplication horizon. */
export function isDuplicate(state: EntityState, hash: EventIdHash, offset: number): boolean {
  const { hashes, offsets } = state.recentIds
  const [high, low] = [hash.high | 0, hash.low | 0]
  for (let i = 0; i < offsets.length; i += 1) {
    if (hashes[2 * i] === high && hashes[2 * i + 1] === low && offsets[i] !== offset) return true
  }
  return false
}

/** Is this id remembered at all? For what has no offset yet, or was not applied at it. */
export function knowsEventId(state: EntityState, hash: EventIdHash): boolean {
  return isDuplicate(state, hash, -1)
}

export function rememberId(state: EntityState, hash: EventIdHash, offset: number, appendTimeMs: number): void {
  const { hashes, offsets, appendHours } = state.recentIds
  const appendHour = Math.floor(appendTimeMs / hourMs)
  hashes.push(hash.high | 0, hash.low | 0)
  offsets.push(offset)
  appendHours.push(appendHour)
  let expired = Math.max(0, offsets.length - deduplication.ids)
  // One hour more than promised, because the hour is all that is stored.
  const oldest = appendHour - deduplication.hours - 1
  while ((appendHours[expired] ?? appendHour) < oldest) expired += 1
  if (expired === 0) return
  hashes.splice(0, 2 * expired)
  offsets.splice(0, expired)
  appendHours.splice(0, expired)
}
