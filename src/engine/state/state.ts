import type { FeatureFlag } from '../flags.ts'
import { itemAt } from '../../base/arrays.ts'
import { assert } from '../../base/errors.ts'
import type { EntityPlan } from '../plan.ts'
import { noLabels, type Labels } from './labels.ts'
import { copyOfIds, noIds, type RecentIds } from './recent-ids.ts'
import { copyOfSubjects, noSubjects, type Subjects } from './subjects.ts'
import { noWaiting, type WaitingLabels } from './waiting-labels.ts'
import { emptyTiles, nextVersion, type TileTable } from '../tiles/tiles.ts'

/**
 * One table per tile group of the plan. Most entities have one group: its table stands by itself, because a list is one
 * more wait for memory on the way to every number.
 */
export interface StateTiles {
  firstTiles: TileTable
  moreTiles: readonly TileTable[]
}

/** What a read of features needs of a state. */
export interface ReadableState extends StateTiles {
  /** The sequence number that the next observation takes. */
  sequence: number
  /** Newest observation time, null before the first. */
  newestTimeMs: number | null
}

/** Everything known about one entity instance. Never changed once it was written: see {@link beginDraft}. */
export interface EntityState extends ReadableState {
  /** The sequence number that this incarnation began with. */
  incarnation: number
  /** Partition-key entity only: the ids that would be duplicates. */
  readonly recentIds: RecentIds
  /** Partition-key entity only: the events that labels may name. */
  readonly subjects: Subjects
  /** The current labels of subjects that are not forgotten, where views read labels. */
  labels: Labels
  /** Partition-key entity only: labels that came before their subjects. */
  waiting: WaitingLabels
  /** Ascending by partition. */
  partitions: readonly PartitionProgress[]
}

/** How far one partition was applied to the entity. */
export interface PartitionProgress {
  readonly partition: number
  /** The next offset to apply: everything below is applied (R1). */
  readonly next: number
  /** The responses to the partition's last batch (R3). */
  readonly responses: readonly StoredResponse[]
}

/**
 * `unknown_subject` and `contradicts_subject`: a label that counts nowhere, because the event it names was not applied
 * before (or so long ago that it is forgotten), or is not what the label says.
 */
export const outcomes = ['applied', 'too_late', 'duplicate', 'unknown_subject', 'contradicts_subject'] as const
export type Outcome = (typeof outcomes)[number]

/** What an entity answered to one event; stored until its batch is surely published. */
export interface StoredResponse {
  readonly offset: number
  /** The sequence number this event took. */
  readonly sequence: number
  readonly incarnation: number
  readonly outcome: Outcome
  /** The entity's features as the event saw them, in plan order; null for an event that reads nothing. */
  readonly features: readonly (number | null)[] | null
  readonly flags: readonly FeatureFlag[]
  /** The records of labels that had waited for this event: they are sent again. */
  readonly released: readonly string[]
}

/**
 * A state to change, copied from `base`, which stays as it is: caches and other batches may hold it. A new incarnation
 * starts its sequence at the append time in microseconds, above all that an expired one can have had.
 */
export function beginDraft(plan: EntityPlan, base: EntityState | null, appendTimeMs: number): EntityState {
  if (base === null) {
    const incarnation = appendTimeMs * 1_000
    assert(Number.isSafeInteger(incarnation), 'an append time is in milliseconds')
    return {
      sequence: incarnation,
      incarnation,
      newestTimeMs: null,
      firstTiles: emptyTiles(plan.groups[0] ?? noGroup),
      moreTiles: plan.groups.length < 2 ? noTables : plan.groups.slice(1).map(emptyTiles),
      recentIds: idsToChange(plan, noIds),
      subjects: subjectsToChange(plan, noSubjects),
      labels: noLabels,
      waiting: noWaiting,
      partitions: noProgress,
    }
  }
  return {
    sequence: base.sequence,
    incarnation: base.incarnation,
    newestTimeMs: base.newestTimeMs,
    firstTiles: nextVersion(base.firstTiles),
    moreTiles: base.moreTiles.length === 0 ? noTables : base.moreTiles.map(nextVersion),
    recentIds: idsToChange(plan, base.recentIds),
    subjects: subjectsToChange(plan, base.subjects),
    labels: base.labels,
    waiting: base.waiting,
    partitions: base.partitions,
  }
}

/** Only the partition-key entity adds ids; the others share an empty list. */
function idsToChange(plan: EntityPlan, ids: RecentIds): RecentIds {
  return plan.partitionKey ? copyOfIds(ids) : noIds
}

function subjectsToChange(plan: EntityPlan, subjects: Subjects): Subjects {
  return plan.partitionKey && plan.labelHours > 0 ? copyOfSubjects(subjects) : noSubjects
}

const noTables: readonly TileTable[] = []
const noProgress: readonly PartitionProgress[] = []
/** For an entity without views. */
const noGroup = { layout: { width: 1, lists: 0, empty: [0] } }

export function stateTiles(tables: readonly TileTable[]): StateTiles {
  const [firstTiles = emptyTiles(noGroup), ...moreTiles] = tables
  return { firstTiles, moreTiles }
}

/** By the number of the tile group. */
export function tableAt({ firstTiles, moreTiles }: StateTiles, group: number): TileTable {
  return group === 0 ? firstTiles : itemAt(moreTiles, group - 1)
}

export function tablesOf({ firstTiles, moreTiles }: StateTiles): TileTable[] {
  return [firstTiles, ...moreTiles]
}

export function progressOf(state: EntityState, partition: number): PartitionProgress | null {
  for (const progress of state.partitions) if (progress.partition === partition) return progress
  return null
}

export function setProgress(state: EntityState, progress: PartitionProgress): void {
  const [only] = state.partitions
  // An event's entity most often belongs to one partition.
  if (only === undefined || (state.partitions.length === 1 && only.partition === progress.partition)) {
    state.partitions = [progress]
    return
  }
  const others = state.partitions.filter(({ partition }) => partition !== progress.partition)
  state.partitions = [...others, progress].sort((a, b) => a.partition - b.partition)
}
