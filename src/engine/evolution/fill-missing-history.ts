import { forgottenTile, tileOf } from '../window.ts'
import { labelOf, outdates, type Labels } from '../state/labels.ts'
import { forgetLabels, remakeTile } from '../observe-label.ts'
import type { EntityLabels, EntityPlan } from '../plan.ts'
import type { TileGroupPlan } from '../tile-group.ts'
import { stateTiles, tableAt, tablesOf, type EntityState, type StateTiles } from '../state/state.ts'
import { emptyRow, mergeEarlier, type TileRow } from '../tiles/tile-row.ts'
import {
  findRow,
  nextVersion,
  pruneTiles,
  rowAt,
  tableOfRows,
  tileAt,
  type MissingHistory,
  type TileTable,
} from '../tiles/tiles.ts'

/** A state as it was when it took a number, computed from its history with today's plan. */
export type Earlier = Pick<EntityState, 'incarnation' | 'newestTimeMs' | 'labels'> & StateTiles

/** The state as it is now, whatever becomes of it: from here on its tables belong to the copy. */
export function earlierOf(state: EntityState): Earlier {
  const { incarnation, newestTimeMs, labels, firstTiles, moreTiles } = state
  state.firstTiles = nextVersion(firstTiles)
  state.moreTiles = moreTiles.map(nextVersion)
  return { incarnation, newestTimeMs, labels, firstTiles, moreTiles }
}

/** Which slots get their history: by group and slot. */
export type WantedSlots = readonly (readonly boolean[])[]

/** The sequence numbers from which on the wanted slots know history, ascending; empty when none is missing. */
export function missingHistoryNumbers(state: StateTiles, wanted: WantedSlots): number[] {
  const numbers = new Set<number>()
  for (const [g, { missingHistory }] of tablesOf(state).entries()) {
    for (const [k, missing] of missingHistory?.entries() ?? [])
      if (missing !== null && wanted[g]?.[k] === true) numbers.add(missing.since)
  }
  return [...numbers].sort((a, b) => a - b)
}

/**
 * Adds its missing history to a state: history is earlier, what the state holds is later. `before` answers the state
 * below a sequence number, null where it is not known; that history stays missing.
 */
export function fillMissingHistory(
  plan: EntityPlan,
  state: EntityState,
  wanted: WantedSlots,
  before: (since: number) => Earlier | null,
): EntityState {
  let { newestTimeMs, labels } = state
  const known = (since: number): Earlier | null => {
    const earlier = before(since)
    return earlier?.incarnation === state.incarnation ? earlier : null
  }
  for (const since of missingHistoryNumbers(state, wanted)) {
    const earlier = known(since)
    if (earlier !== null) labels = withWholeLabels(labels, earlier.labels, since)
    const other = earlier?.newestTimeMs ?? null
    if (other !== null && (newestTimeMs === null || other > newestTimeMs)) newestTimeMs = other
  }
  const tiles = plan.groups.map((group, g) => {
    const filled = fillTable(group, tableAt(state, g), wanted[g] ?? [], (since) => {
      const earlier = known(since)
      return earlier === null ? null : tableAt(earlier, g)
    })
    if (plan.labels !== null) remakeLabelled(filled, g, group, plan.labels, labels)
    const floor = newestTimeMs === null ? -Infinity : forgottenTile(newestTimeMs, plan.horizonMs, group.hopMs)
    pruneTiles(filled, group, Math.max(floor, filled.cappedTile ?? -Infinity))
    return filled
  })
  const filled = { ...state, newestTimeMs, labels, ...stateTiles(tiles) }
  forgetLabels(plan, filled)
  return filled
}

/**
 * Labels from before `since` lack the fields of the slots with missing history, or are not in the state: history has
 * them whole. A later label stays in their place, unless it was given before the one in history.
 */
function withWholeLabels(labels: Labels, earlier: Labels, since: number): Labels {
  const history = earlier.filter(({ sequence }) => sequence < since)
  const missing = history.filter((label) => labelOf(labels, label) === null)
  const whole = labels.map((label) => {
    const known = labelOf(history, label)
    if (known === null) return label
    if (label.sequence < since) return { ...label, data: { ...label.data, ...known.data } }
    return outdates(known, label) ? known : label
  })
  return [...missing, ...whole].sort((a, b) => a.sequence - b.sequence)
}

/** History also holds labels that were replaced later: their tiles are made again. */
function remakeLabelled(
  table: TileTable,
  number: number,
  group: TileGroupPlan,
  labels: EntityLabels,
  known: Labels,
): void {
  const tiles = new Set(known.map(({ timeMs }) => tileOf(timeMs, group.hopMs)))
  for (const tile of tiles) if (findRow(table, tile) >= 0) remakeTile(table, number, group, labels, known, tile)
}

function fillTable(
  group: TileGroupPlan,
  table: TileTable,
  wanted: readonly boolean[],
  before: (since: number) => TileTable | null,
): TileTable {
  const rows = new Map<number, TileRow>()
  for (let row = table.start; row < table.end; row += 1) rows.set(tileAt(table, row), rowAt(table, row))
  const missingHistory: (MissingHistory | null)[] = group.slots.map((_, k) => table.missingHistory?.[k] ?? null)
  let { base, cappedTile } = table
  for (const [k, slot] of group.slots.entries()) {
    const missing = missingHistory[k] ?? null
    const history = missing === null || wanted[k] !== true ? null : before(missing.since)
    if (missing === null || history === null) continue
    missingHistory[k] = null
    for (let number = history.start; number < history.end; number += 1) {
      const tile = tileAt(history, number)
      // The slot knows newer tiles itself.
      if (tile > missing.tile) break
      const row = rows.get(tile) ?? emptyRow(group.layout, tile)
      rows.set(tile, row)
      mergeEarlier(slot, row, rowAt(history, number))
    }
    if (slot.lifetime && history.base !== null) {
      base = base === null ? emptyRow(group.layout, 0) : { cells: base.cells.slice(), lists: base.lists.slice() }
      mergeEarlier(slot, base, history.base)
    }
    if (history.cappedTile !== null) cappedTile = Math.max(cappedTile ?? -Infinity, history.cappedTile)
  }
  if (missingHistory.every((missing, k) => missing === (table.missingHistory?.[k] ?? null))) return nextVersion(table)
  const ordered = [...rows].sort(([a], [b]) => a - b).map(([, row]) => row)
  const filled = tableOfRows(group.layout, ordered)
  return {
    ...filled,
    base,
    cappedTile,
    missingHistory: missingHistory.some((missing) => missing !== null) ? missingHistory : null,
  }
}

/** The slots that some features of an entity read. */
export function slotsOf({ groups, features }: EntityPlan, isWanted: (feature: string) => boolean): WantedSlots {
  const wanted = groups.map(({ slots }) => slots.map(() => false))
  for (const { name, group, slots } of features) {
    if (isWanted(name)) for (const slot of slots) (wanted[group] ?? [])[slot] = true
  }
  return wanted
}
