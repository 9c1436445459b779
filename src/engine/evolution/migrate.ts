import { forgottenTile, tileOf } from '../window.ts'
import { eventLimits } from '../../events/envelope.ts'
import { pickFields } from '../observe-label.ts'
import type { EntityPlan } from '../plan.ts'
import type { SlotPlan, TileGroupPlan } from '../tile-group.ts'
import { noLabels, type Labels } from '../state/labels.ts'
import { noIds } from '../state/recent-ids.ts'
import { eventTypeOfSlot, type BlobPlan } from '../state-codec/state-layout.ts'
import { stateTiles, tableAt, type EntityState } from '../state/state.ts'
import { noSubjects } from '../state/subjects.ts'
import { emptyRow, isEmpty, putValue, valueIn, type TileRow, type AllocatedSlot } from '../tiles/tile-row.ts'
import {
  emptyTiles,
  pruneTiles,
  rowAt,
  tableOfRows,
  tileAt,
  type MissingHistory,
  type TileTable,
} from '../tiles/tiles.ts'
import { noWaiting } from '../state/waiting-labels.ts'

/**
 * Turns a state that another feature set wrote into one of the plan. It keeps the slots that both have, drops those of
 * the old set alone, and records for those of the plan alone up to where history is missing. It drops stored responses:
 * they hold the old set's features, and the caller makes sure that nothing needs them any more. `nowMs` bounds the time
 * of observations that the old set did not look at. `from`: the plan, or the kept layout, with which the state was
 * made.
 */
export function migrateState(plan: EntityPlan, from: BlobPlan, state: EntityState, nowMs: number): EntityState {
  const { sequence, incarnation, newestTimeMs } = state
  return {
    sequence,
    incarnation,
    newestTimeMs,
    ...stateTiles(plan.groups.map((group) => migrateTable(plan, group, from, state, nowMs))),
    recentIds: plan.partitionKey ? state.recentIds : noIds,
    subjects: plan.partitionKey ? state.subjects : noSubjects,
    labels: migrateLabels(plan, state.labels),
    waiting: plan.partitionKey ? state.waiting : noWaiting,
    partitions: state.partitions.map(({ partition, next }) => ({ partition, next, responses: [] })),
  }
}

/** Keeps only the fields that the plan's slots read. */
function migrateLabels({ labels: known }: EntityPlan, labels: Labels): Labels {
  if (known === null || labels.length === 0) return noLabels
  return labels.map((label) => ({ ...label, data: pickFields(known, label.data) }))
}

/** One slot on its way into the plan. */
interface Moved {
  /** As the old table has it; null for a new slot. */
  readonly before: AllocatedSlot | null
  readonly missing: MissingHistory | null
  /** What it holds up to the missing tile is incomplete: it keeps none of that, so that `missing` says it all. */
  readonly forgets: boolean
}

function migrateTable(
  plan: EntityPlan,
  group: TileGroupPlan,
  from: BlobPlan,
  state: EntityState,
  nowMs: number,
): TileTable {
  const number = from.groups.findIndex(({ hopMs }) => hopMs === group.hopMs)
  const [old, before] = [from.groups[number] ?? null, number < 0 ? null : tableAt(state, number)]
  const oldSlots = old?.slots ?? []
  const floors = floorsOf(plan, group, from, state, before)
  const moved = group.slots.map((slot, index): Moved => {
    const at = oldSlots.findIndex(({ id }) => id === slot.id)
    const own = oldSlots[at] ?? null
    if (own === null)
      return { before: null, missing: newMissingHistory(slot, group, from, state, nowMs), forgets: false }
    const missing = before?.missingHistory?.[at] ?? null
    const lost = lostHistory(plan, group, index, { old, at, from, state, before, floors })
    if (missing === null || lost === null) return { before: own, missing: missing ?? lost, forgets: lost !== null }
    return { before: own, missing: { since: state.sequence, tile: Math.max(missing.tile, lost.tile) }, forgets: true }
  })
  const table = before === null ? emptyTiles(group) : movedRows(group, before, moved)
  table.missingHistory = moved.some(({ missing }) => missing !== null) ? moved.map(({ missing }) => missing) : null
  table.cappedTile = before?.cappedTile ?? null
  const base = before?.base ?? null
  if (base !== null && group.slots.some((slot) => slot.lifetime)) {
    table.base = movedRow(group, base, moved, 0)
  }
  pruneTiles(table, group, floors.now)
  if (table.base !== null) table.base = withoutForgotten(group, table.base, moved)
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
  from: BlobPlan,
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

/** For a slot that the state did not have: all history so far is missing. */
function newMissingHistory(
  { id }: SlotPlan,
  { hopMs }: TileGroupPlan,
  from: BlobPlan,
  { sequence, newestTimeMs }: EntityState,
  nowMs: number,
): MissingHistory | null {
  const type = eventTypeOfSlot(id)
  const wasLookedAt = from.groups.some(({ slots }) => slots.some((slot) => eventTypeOfSlot(slot.id) === type))
  // The newest time is that of the events that some slot looked at.
  if (!wasLookedAt) return { since: sequence, tile: tileOf(nowMs + eventLimits.maxFutureMs, hopMs) }
  return newestTimeMs === null ? null : { since: sequence, tile: tileOf(newestTimeMs, hopMs) }
}

interface Kept {
  readonly old: TileGroupPlan | null
  readonly at: number
  readonly from: BlobPlan
  readonly state: EntityState
  readonly before: TileTable | null
  readonly floors: Floors
}

/** For a kept slot that now needs what the state has forgotten: a longer horizon, or a lifetime. */
function lostHistory(plan: EntityPlan, group: TileGroupPlan, index: number, kept: Kept): MissingHistory | null {
  const { old, at, from, state, before, floors } = kept
  if (old === null || before === null || state.newestTimeMs === null) return null
  // A table with a lifetime slot merges all that it forgets into a base.
  const hasForgotten = before.base !== null || !old.slots.some((slot) => slot.lifetime)
  const wasLifetime = old.slots[at]?.lifetime === true
  const isLifetime = group.slots[index]?.lifetime === true
  const missing = { since: state.sequence, tile: Math.max(floors.before, floors.now) }
  if (isLifetime && !wasLifetime && hasForgotten) return missing
  if (plan.horizonMs <= from.horizonMs) return null
  // What came too late for the shorter horizon left no trace, not even in a base.
  // A base cannot be taken apart again; it is given up only for a window that needs its tiles.
  return !isLifetime || reachMs(plan, group, index) > from.horizonMs ? missing : null
}

/** How far back from the newest observation the finite windows of a slot reach. */
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
  const rows: TileRow[] = []
  for (let number = before.start; number < before.end; number += 1) {
    const tile = tileAt(before, number)
    const kept = moved.map((one) => (one.forgets && one.missing !== null && tile <= one.missing.tile ? gone : one))
    const row = movedRow(group, rowAt(before, number), kept, tile)
    if (!group.slots.every((slot) => isEmpty(row, slot))) rows.push(row)
  }
  return tableOfRows(group.layout, rows)
}

const gone: Moved = { before: null, missing: null, forgets: true }

function movedRow({ layout, slots }: TileGroupPlan, from: TileRow, moved: readonly Moved[], tile: number): TileRow {
  const row = emptyRow(layout, tile)
  for (const [k, slot] of slots.entries()) {
    const before = moved[k]?.before ?? null
    if (before !== null) putValue(row, slot, valueIn(from, before))
  }
  return row
}

function withoutForgotten({ layout, slots }: TileGroupPlan, base: TileRow, moved: readonly Moved[]): TileRow {
  const row = emptyRow(layout, 0)
  for (const [k, slot] of slots.entries()) if (moved[k]?.forgets !== true) putValue(row, slot, valueIn(base, slot))
  return row
}
