import type { SlotKind } from '../../../src/engine/slot-kind.ts'
import type { DelayRead, TileGroupPlan } from '../../../src/engine/tile-group.ts'
import type { Accumulator, SlotList, SlotValue } from '../../../src/engine/tiles/slot.ts'
import { squaresOf } from '../../../src/engine/tiles/cells.ts'
import {
  addValue,
  emptyRow,
  mergeEarlier,
  placed,
  valueIn,
  type TileRow,
  type AllocatedSlot,
} from '../../../src/engine/tiles/tile-row.ts'
import { ValueCodes } from '../../../src/engine/tiles/distinct.ts'
import type { TileTable } from '../../../src/engine/tiles/tiles.ts'
import { readWindows, WindowCells } from '../../../src/engine/tiles/windows.ts'

/** Of all groups and slots here: rows of one may stand in another. */
export const codes = new ValueCodes()

export interface Shape {
  readonly kind: SlotKind
  readonly size: number
  readonly lifetime: boolean
}

type Read = Omit<DelayRead, 'base'>

/** A group of these slots; its reads have cells of their own. */
export function groupOf(
  shapes: readonly Shape[],
  reads: readonly Read[],
  tilesMax = 1_000,
  hopMs = 1_000,
): TileGroupPlan {
  const { slots, layout } = placed(
    shapes.map((shape) => ({ id: shape.kind, ...shape })),
    codes,
  )
  let base = 0
  const based = reads.map((read) => {
    const own = { ...read, base }
    base += read.windowsMs.length * slots.length + read.runs.length
    return own
  })
  return { hopMs, tilesMax, slots, layout, reads: based }
}

/** What every slot says in every window, in plan order; null where no feature reads it. */
export function windowsOf(table: TileTable, group: TileGroupPlan, timeMs: number): Accumulator[] {
  const { slots, reads } = group
  const size = reads.reduce((sum, { windowsMs, runs }) => sum + windowsMs.length * slots.length + runs.length, 0)
  const cells = new WindowCells(size, codes)
  readWindows(table, group, timeMs, cells)
  return reads.flatMap(({ base, windowsMs, slots: wanted }) =>
    windowsMs.flatMap((_windowMs, window) =>
      slots.map((slot, number): Accumulator => {
        const isRead = wanted.some((one) => one.slot === number && window < one.windows)
        return isRead ? cellOf(cells, slot, base + window * slots.length + number) : null
      }),
    ),
  )
}

function cellOf({ numbers, highs, points }: WindowCells, { kind }: AllocatedSlot, at: number): Accumulator {
  const value = numbers[at] ?? NaN
  if (kind === 'oldest' || kind === 'newest') return points[at] ?? []
  if (kind === 'square_sum') return squaresOf(value, highs[at] ?? 0)
  return Number.isNaN(value) ? null : value
}

/** One slot, by itself, over plain values. */
export class OneSlot {
  readonly slot: AllocatedSlot
  private readonly layout

  constructor(kind: SlotKind, size: number) {
    const { slots, layout } = placed([{ kind, size }], codes)
    this.slot = slots[0] as AllocatedSlot
    this.layout = layout
  }

  collect(all: Iterable<{ readonly value: SlotValue; readonly timeMs: number }>, tile = 0): TileRow {
    const { cells } = emptyRow(this.layout, tile)
    const lists: SlotList[][] = []
    const rows = { width: this.layout.width, cells, lists }
    for (const { value, timeMs } of all) addValue(rows, 0, this.slot, value, timeMs)
    return { cells, lists: lists.map(([list]) => list) }
  }

  valueIn(row: TileRow): Accumulator {
    return valueIn(row, this.slot)
  }

  merge(earlier: TileRow, later: TileRow): TileRow {
    const row = { cells: later.cells.slice(), lists: later.lists.slice() }
    mergeEarlier(this.slot, row, earlier)
    return row
  }
}
