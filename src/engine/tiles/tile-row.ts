import { itemAt } from '../../base/arrays.ts'
import { assert } from '../../base/errors.ts'
import { addToCell, cellAt, cellsOf, emptyCell, mergeCell, numberIn, putNumber } from './cells.ts'
import { union, type ValueCodes } from './distinct.ts'
import { mergePoints } from './points.ts'
import {
  pointsOf,
  valuesOf,
  type Accumulator,
  type Points,
  type SlotList,
  type SlotShape,
  type SlotValue,
} from './slot.ts'

/** How the slots of one hop share a row: cell 0 is the tile, then each slot has its cells. */
export interface RowLayout {
  /** Cells of a row. */
  readonly width: number
  /** Lists of a row. */
  readonly lists: number
  /** The cells of a row that has collected nothing, in tile 0. */
  readonly empty: readonly number[]
}

/** A slot in a row of tiles. */
export interface AllocatedSlot extends SlotShape {
  /** Its first cell; -1 for points. */
  readonly place: number
  /** The number of its list; -1 for numbers. */
  readonly list: number
  /** The plan's: they give the cells of `distinct` their meaning. */
  readonly codes: ValueCodes
}

/** `codes` are those of the plan that the slots belong to. */
export function placed<Shape extends SlotShape>(
  slots: readonly Shape[],
  codes: ValueCodes,
): { readonly slots: (Shape & AllocatedSlot)[]; readonly layout: RowLayout } {
  // A first number with a fraction: V8 then keeps doubles side by side, and not objects.
  const empty = [0.5]
  let lists = 0
  const found = slots.map((slot) => {
    const width = cellsOf(slot.kind)
    const place = width === 0 ? -1 : empty.length
    for (let cell = 0; cell < width; cell += 1) empty.push(emptyCell(slot.kind))
    return { ...slot, place, list: mayHaveList(slot) ? lists++ : -1, codes }
  })
  empty[0] = 0
  return { slots: found, layout: { width: empty.length, lists, empty } }
}

function mayHaveList({ kind }: SlotShape): boolean {
  return kind === 'distinct' || cellsOf(kind) === 0
}

/** One tile of a table, by itself. Cell 0 is the tile; a list that is not there is empty. */
export interface TileRow {
  readonly cells: number[]
  readonly lists: (SlotList | undefined)[]
}

export function emptyRow({ empty }: RowLayout, tile: number): TileRow {
  const cells = empty.slice()
  cells[0] = tile
  return { cells, lists: [] }
}

export const noPoints: Points = []

export function valueIn({ cells, lists }: TileRow, { kind, place, list, codes }: AllocatedSlot): Accumulator {
  if (list < 0) return numberIn(kind, cells, place)
  const found = lists[list]
  return kind === 'distinct' ? codes.valuesIn(cellAt(cells, place), valuesOf(found)) : pointsOf(found)
}

export function putValue({ cells, lists }: TileRow, slot: AllocatedSlot, value: Accumulator): void {
  const { kind, place, list, codes } = slot
  if (typeof value !== 'object' || value === null) {
    assert(list < 0, `a slot of kind ${kind} takes a list`)
    putNumber(kind, cells, place, value)
  } else if (kind === 'distinct') {
    const kept = codes.kept(valuesOf(value) ?? [])
    cells[place] = kept.cell
    lists[list] = kept.list ?? undefined
  } else {
    lists[list] = value
  }
}

/** Merges what another row has collected earlier, by sequence number. */
export function mergeEarlier(slot: AllocatedSlot, row: TileRow, earlier: TileRow): void {
  const { kind, size, place, list, codes } = slot
  if (list < 0) {
    mergeCell(kind, row.cells, place, earlier.cells, place)
    return
  }
  const [before, own] = [earlier.lists[list], row.lists[list]]
  if (kind !== 'distinct') {
    row.lists[list] = mergePoints(slot, pointsOf(before), pointsOf(own))
    return
  }
  const earlierValues = codes.valuesIn(cellAt(earlier.cells, place), valuesOf(before))
  putValue(row, slot, union(earlierValues, codes.valuesIn(cellAt(row.cells, place), valuesOf(own)), size))
}

/** Whether a slot holds nothing that could matter: a sum of zeros is as empty as one of nothing. */
export function isEmpty(row: TileRow, slot: AllocatedSlot): boolean {
  const found = valueIn(row, slot)
  return found === null || (Array.isArray(found) ? found.length === 0 : found === 0 && emptyCell(slot.kind) === 0)
}

/** Rows side by side: the cells of one after those of another, and columns of lists, by list number, if any. */
export interface Rows {
  readonly width: number
  readonly cells: number[]
  readonly lists: SlotList[][]
}

/** Adds a value to a slot of a row. */
export function addValue(
  { width, cells, lists }: Rows,
  row: number,
  slot: AllocatedSlot,
  value: SlotValue,
  timeMs: number,
): void {
  const { kind, size, place, list, codes } = slot
  const at = row * width + place
  if (list < 0) {
    addToCell(kind, cells, at, numberOf(value), timeMs)
    return
  }
  const known = lists[list]?.[row]
  if (kind !== 'distinct') {
    const point = { timeMs, value: numberOf(value) }
    putInColumn(lists, list, row, mergePoints(slot, pointsOf(known), [point]))
    return
  }
  const cell = cellAt(cells, at)
  const only = codes.withOnly(cell, value)
  if (only !== null) {
    cells[at] = only
    return
  }
  const kept = codes.kept(union(codes.valuesIn(cell, valuesOf(known)), [value], size))
  cells[at] = kept.cell
  if (kept.list !== null) putInColumn(lists, list, row, kept.list)
}

/** All kinds but `distinct` take numbers; a count takes whatever is there. */
function numberOf(value: SlotValue): number {
  return typeof value === 'number' ? value : NaN
}

/** A column begins when it is needed. */
export function putInColumn(lists: SlotList[][], list: number, row: number, value: SlotList): void {
  while (lists.length <= list) lists.push([])
  const column = itemAt(lists, list)
  while (column.length < row) column.push(noPoints)
  column[row] = value
}
