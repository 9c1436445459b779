import { addToCell, cellsOf, emptyCell, mergeCell, numberIn, putNumber } from './cells.ts'
import { keptValues, union, valuesIn, withOnly } from './distinct.ts'
import { mergePoints } from './points.ts'
import type { Accumulator, PlacedSlot, Points, SlotList, SlotShape, SlotValue, Values } from './slot.ts'

/** How the slots of one hop share a row: cell 0 is the tile, then each slot has its cells. */
export interface RowLayout {
  /** Cells of a row. */
  readonly width: number
  /** Lists of a row. */
  readonly lists: number
  /** The cells of a row that has collected nothing, in tile 0. */
  readonly empty: readonly number[]
}

export function placed<Shape extends SlotShape>(
  slots: readonly Shape[],
): { readonly slots: (Shape & PlacedSlot)[]; readonly layout: RowLayout } {
  // A first number with a fraction: V8 then keeps doubles side by side, and not objects.
  const empty = [0.5]
  let lists = 0
  const found = slots.map((slot) => {
    const width = cellsOf(slot.kind)
    const place = width === 0 ? -1 : empty.length
    for (let cell = 0; cell < width; cell += 1) empty.push(emptyCell(slot.kind))
    return { ...slot, place, list: mayHaveList(slot) ? lists++ : -1 }
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

export function valueIn({ cells, lists }: TileRow, { kind, place, list }: PlacedSlot): Accumulator {
  if (list < 0) return numberIn(kind, cells, place)
  return kind === 'distinct'
    ? valuesIn(cells[place] as number, lists[list] as Values | undefined)
    : (lists[list] ?? noPoints)
}

export function putValue({ cells, lists }: TileRow, { kind, place, list }: PlacedSlot, value: Accumulator): void {
  if (list < 0) {
    putNumber(kind, cells, place, value as number | bigint | null)
  } else if (kind === 'distinct') {
    const kept = keptValues(value as Values)
    cells[place] = kept.cell
    lists[list] = kept.list ?? undefined
  } else {
    lists[list] = value as Points
  }
}

/** Merges what another row has collected earlier, by sequence number. */
export function mergeEarlier(slot: PlacedSlot, row: TileRow, earlier: TileRow): void {
  const { kind, size, place, list } = slot
  if (list < 0) {
    mergeCell(kind, row.cells, place, earlier.cells, place)
    return
  }
  const [before, own] = [valueIn(earlier, slot), valueIn(row, slot)]
  const isDistinct = kind === 'distinct'
  putValue(
    row,
    slot,
    isDistinct ? union(before as Values, own as Values, size) : mergePoints(slot, before as Points, own as Points),
  )
}

/** Whether a slot holds nothing that could matter: a sum of zeros is as empty as one of nothing. */
export function isEmpty(row: TileRow, slot: PlacedSlot): boolean {
  const found = valueIn(row, slot)
  return found === null || (Array.isArray(found) ? found.length === 0 : found === 0 && emptyCell(slot.kind) === 0)
}

/** Rows side by side: the cells of one after those of another, and columns of lists, by list number, where there are any. */
export interface Rows {
  readonly width: number
  readonly cells: number[]
  readonly lists: SlotList[][]
}

/** Adds a value to a slot of a row. */
export function addValue(
  { width, cells, lists }: Rows,
  row: number,
  slot: PlacedSlot,
  value: SlotValue,
  timeMs: number,
): void {
  const { kind, size, place, list } = slot
  const at = row * width + place
  if (list < 0) {
    addToCell(kind, cells, at, value as number, timeMs)
    return
  }
  const known = lists[list]?.[row]
  if (kind !== 'distinct') {
    const point = { timeMs, value: value as number }
    putInColumn(lists, list, row, mergePoints(slot, (known ?? noPoints) as Points, [point]))
    return
  }
  const cell = cells[at] as number
  const only = withOnly(cell, value)
  if (only !== null) {
    cells[at] = only
    return
  }
  const kept = keptValues(union(valuesIn(cell, known as Values | undefined), [value], size))
  cells[at] = kept.cell
  if (kept.list !== null) putInColumn(lists, list, row, kept.list)
}

/** A column begins when it is needed. */
export function putInColumn(lists: SlotList[][], list: number, row: number, value: SlotList): void {
  while (lists.length <= list) lists.push([])
  const column = lists[list] as SlotList[]
  while (column.length < row) column.push(noPoints)
  column[row] = value
}
