import type { SlotKind } from './slot-kind.ts'
import { ByteWriter } from '../base/bytes.ts'
import type { EntityPlan } from './plan.ts'
import type { SlotPlan, TileGroupPlan } from './tile-group.ts'
import { ValueCodes } from './tiles/distinct.ts'
import type { Accumulator } from './tiles/slot.ts'
import { writeTiles } from './tiles/tile-codec.ts'
import { emptyRow, placed, putValue } from './tiles/tile-row.ts'
import { tableOfRows } from './tiles/tiles.ts'
import { hourMs } from '../base/units.ts'

/** `typical`: a tile of one ordinary observation, an hour after the one before. `largest`: the limits, all reached. */
export interface Bytes {
  readonly typical: number
  readonly largest: number
}

export interface SlotCost {
  readonly kind: SlotKind
  readonly size: number
  readonly bytesPerTile: Bytes
}

/** What the tiles of one hop cost in one entity's state. */
export interface GroupCost {
  readonly hopMs: number
  /** No state ever holds more tiles of this hop. */
  readonly tilesMax: number
  /** What the number of a tile costs, whatever the tile holds. */
  readonly tileBytes: Bytes
  /** In plan order. */
  readonly slots: readonly SlotCost[]
}

/** Measured with the codec itself, so it cannot differ from what is written. */
export function stateCost({ groups, horizonMs }: Pick<EntityPlan, 'groups' | 'horizonMs'>): readonly GroupCost[] {
  return groups.map((group) => ({
    hopMs: group.hopMs,
    tilesMax: Math.min(group.tilesMax, Math.ceil(horizonMs / group.hopMs)),
    tileBytes: {
      typical: tileBytes(group, Math.ceil(hourMs / group.hopMs)),
      largest: tileBytes(group, Math.ceil(horizonMs / group.hopMs)),
    },
    slots: group.slots.map((slot) => slotCost(group, slot)),
  }))
}

/** Tiles of 2026: numbers as large as they are for years to come. */
const anyTimeMs = 1_780_000_000_000

function tileBytes(group: TileGroupPlan, missing: number): number {
  const tile = Math.floor(anyTimeMs / group.hopMs)
  return encodedBytes(group, [], [tile, tile + missing]) - encodedBytes(group, [], [tile])
}

function slotCost(group: TileGroupPlan, slot: SlotPlan): SlotCost {
  const tile = Math.floor(anyTimeMs / group.hopMs)
  const bytesOf = (value: Accumulator) => encodedBytes(group, [slot], [tile], value) - encodedBytes(group, [], [tile])
  const beginMs = tile * group.hopMs
  return {
    kind: slot.kind,
    size: slot.size,
    bytesPerTile: {
      typical: bytesOf(typicalValue(slot, beginMs + Math.floor(group.hopMs / 2))),
      largest: bytesOf(largestValue(slot, beginMs + group.hopMs - 1)),
    },
  }
}

const typicalAmount = 10_000

function typicalValue({ kind }: SlotPlan, timeMs: number): Accumulator {
  switch (kind) {
    case 'count':
      return 1
    case 'sum':
    case 'min':
    case 'max':
      return typicalAmount
    case 'square_sum':
      return typicalAmount * typicalAmount
    case 'oldest_time':
    case 'newest_time':
      return timeMs
    case 'oldest':
    case 'newest':
      return [{ timeMs, value: typicalAmount }]
    case 'distinct':
      return ['entity-1']
  }
}

/** The largest whole number that the codec takes, and a million observations of the largest that may be squared. */
const [largestInteger, observationsMax, largestSquares] = [2 ** 52, 2 ** 20, 2n ** 100n - 1n]
/** Characters of a counted text: an id has 64 at most. */
const textLength = 64

function largestValue({ kind, size }: SlotPlan, timeMs: number): Accumulator {
  switch (kind) {
    case 'count':
      return observationsMax
    case 'sum':
    case 'min':
    case 'max':
      return largestInteger
    case 'square_sum':
      return largestSquares
    case 'oldest_time':
    case 'newest_time':
      return timeMs
    case 'oldest':
    case 'newest':
      return Array.from({ length: size }, () => ({ timeMs, value: largestInteger }))
    case 'distinct':
      return Array.from({ length: size }, (_, i) => String(i).padStart(textLength, '0'))
  }
}

/** The bytes of a table with these tiles, whose slots all hold `value`. */
function encodedBytes(
  group: TileGroupPlan,
  slots: readonly SlotPlan[],
  tiles: readonly number[],
  value: Accumulator = null,
): number {
  const bare = { ...group, ...placed(slots, new ValueCodes()) }
  const rows = tiles.map((tile) => emptyRow(bare.layout, tile))
  for (const row of rows) for (const slot of bare.slots) putValue(row, slot, value)
  const writer = new ByteWriter()
  writeTiles(writer, bare, tableOfRows(bare.layout, rows))
  return writer.take().length
}
