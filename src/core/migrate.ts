import { eventLimits } from './envelope.ts'
import type { EntityPlan, SlotPlan, TileGroupPlan } from './plan.ts'
import type { Accumulator } from './slot.ts'
import { eventTypeOfSlot, type GroupLayout, type StateLayout } from './state-layout.ts'
import type { EntityState } from './state.ts'
import { emptyTiles, pruneTiles, tableOf, type Gap, type TileTable } from './tiles.ts'
import { forgottenTile, tileOf } from './window.ts'

/**
 * A state that another feature set wrote, as the plan holds it. Whatever both mean is kept; what only the old one meant
 * goes; what only the plan means has a gap, which says up to where the slot knows nothing. Snapshots are dropped: they
 * hold the old set's features, and whoever migrates makes sure that nobody needs them any more. `nowMs` bounds the time
 * of observations that the old set did not look at.
 */
export function migrateState(plan: EntityPlan, from: StateLayout, state: EntityState, nowMs: number): EntityState {
  const { sequence, born, newestTimeMs } = state
  return {
    sequence,
    born,
    newestTimeMs,
    tiles: plan.groups.map((group) => migrateTable(plan, group, from, state, nowMs)),
    recentIds: plan.partitionKey ? state.recentIds : { hashes: [], offsets: [], appendHours: [] },
    partitions: state.partitions.map(({ partition, next }) => ({ partition, next, snapshots: [] })),
  }
}

/** One slot on its way into the plan. */
interface Moved {
  /** Where the old table has it; -1 for a new slot. */
  readonly at: number
  readonly gap: Gap | null
  /** What it holds below its gap is incomplete in two ways: none of it is kept, so that one gap says it all. */
  readonly forgets: boolean
}

function migrateTable(
  plan: EntityPlan,
  group: TileGroupPlan,
  from: StateLayout,
  state: EntityState,
  nowMs: number,
): TileTable {
  const number = from.groups.findIndex(({ hopMs }) => hopMs === group.hopMs)
  const [old, before] = [from.groups[number] ?? null, state.tiles[number] ?? null]
  const floors = floorsOf(plan, group, from, state, before)
  const moved = group.slots.map((slot, index): Moved => {
    const at = old?.slots.findIndex(({ id }) => id === slot.id) ?? -1
    if (at < 0) return { at, gap: newGap(slot, group, from, state, nowMs), forgets: false }
    const own = before?.gaps?.[at] ?? null
    const lost = lostGap(plan, group, index, { old, at, from, state, before, floors })
    if (own === null || lost === null) return { at, gap: own ?? lost, forgets: lost !== null }
    return { at, gap: { since: state.sequence, tile: Math.max(own.tile, lost.tile) }, forgets: true }
  })
  const table = before === null ? emptyTiles(group) : movedRows(group, before, moved)
  table.gaps = moved.some(({ gap }) => gap !== null) ? moved.map(({ gap }) => gap) : null
  table.cappedTile = before?.cappedTile ?? null
  const base = before?.base ?? null
  if (base !== null && group.slots.some((slot) => slot.lifetime)) {
    table.base = moved.map(({ at }, k) => base[at] ?? emptyOf(group.slots[k]))
  }
  pruneTiles(table, group, floors.now)
  table.base = table.base?.map((value, k) => (moved[k]?.forgets === true ? emptyOf(group.slots[k]) : value)) ?? null
  return table
}

interface Floors {
  /** The newest tile that the old set has forgotten, and the newest one that the plan forgets. */
  readonly before: number
  readonly now: number
}

function floorsOf(
  plan: EntityPlan,
  { hopMs }: TileGroupPlan,
  from: StateLayout,
  { newestTimeMs }: EntityState,
  before: TileTable | null,
): Floors {
  const floor = (horizonMs: number) =>
    Math.max(
      newestTimeMs === null ? -Infinity : forgottenTile(newestTimeMs, horizonMs, hopMs),
      before?.cappedTile ?? -Infinity,
    )
  return { before: floor(from.horizonMs), now: floor(plan.horizonMs) }
}

/** Of a slot that the state did not have: everything so far is missing. */
function newGap(
  { id }: SlotPlan,
  { hopMs }: TileGroupPlan,
  from: StateLayout,
  { sequence, newestTimeMs }: EntityState,
  nowMs: number,
): Gap | null {
  const type = eventTypeOfSlot(id)
  const wasLookedAt = from.groups.some(({ slots }) => slots.some((slot) => eventTypeOfSlot(slot.id) === type))
  // The newest time is that of the events that some slot looked at.
  if (!wasLookedAt) return { since: sequence, tile: tileOf(nowMs + eventLimits.maxFutureMs, hopMs) }
  return newestTimeMs === null ? null : { since: sequence, tile: tileOf(newestTimeMs, hopMs) }
}

interface Kept {
  readonly old: GroupLayout | null
  readonly at: number
  readonly from: StateLayout
  readonly state: EntityState
  readonly before: TileTable | null
  readonly floors: Floors
}

/** Of a slot that is kept, and now needs what was forgotten before: a longer horizon, or a lifetime. */
function lostGap(plan: EntityPlan, group: TileGroupPlan, index: number, kept: Kept): Gap | null {
  const { old, at, from, state, before, floors } = kept
  if (old === null || before === null || state.newestTimeMs === null) return null
  // Whatever a table with a lifetime slot forgets leaves a base.
  const hasForgotten = before.base !== null || !old.slots.some((slot) => slot.lifetime)
  const wasLifetime = old.slots[at]?.lifetime === true
  const isLifetime = group.slots[index]?.lifetime === true
  const gap = { since: state.sequence, tile: Math.max(floors.before, floors.now) }
  if (isLifetime && !wasLifetime && hasForgotten) return gap
  if (plan.horizonMs <= from.horizonMs) return null
  // What came too late for the shorter horizon left no trace, not even in a base.
  // A base cannot be taken apart again; it is given up only for a window that needs its tiles.
  return !isLifetime || reachMs(plan, group, index) > from.horizonMs ? gap : null
}

/** How far back from the newest observation the finite windows of a slot look. */
function reachMs({ groups, features }: EntityPlan, group: TileGroupPlan, slot: number): number {
  const number = groups.indexOf(group)
  let reach = 0
  for (const feature of features) {
    if (feature.group !== number || feature.windowMs === Infinity || !feature.slots.includes(slot)) continue
    reach = Math.max(reach, feature.windowMs + feature.delayMs)
  }
  return reach
}

function movedRows(group: TileGroupPlan, before: TileTable, moved: readonly Moved[]): TileTable {
  const index: number[] = []
  const columns: Accumulator[][] = group.slots.map(() => [])
  for (let row = before.start; row < before.end; row += 1) {
    const tile = before.index[row] as number
    const values = moved.map(({ at, gap, forgets }, k) => {
      const isKept = at >= 0 && !(forgets && gap !== null && tile <= gap.tile)
      return isKept ? (before.columns[at]?.[row] as Accumulator) : emptyOf(group.slots[k])
    })
    if (values.every((value, k) => isEmpty(group.slots[k], value))) continue
    index.push(tile)
    for (const [k, value] of values.entries()) columns[k]?.push(value)
  }
  return index.length === 0 ? emptyTiles(group) : tableOf(index, columns)
}

function emptyOf(slot: SlotPlan | undefined): Accumulator {
  return slot?.algebra.empty ?? null
}

function isEmpty(slot: SlotPlan | undefined, value: Accumulator): boolean {
  return value === emptyOf(slot) || (Array.isArray(value) && value.length === 0)
}
