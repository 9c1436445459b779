import { ByteWriter } from '../base/bytes.ts'
import { ValueCodes } from './tiles/distinct.ts'
import type { SlotShape } from './tiles/slot.ts'
import { placed } from './tiles/tile-row.ts'
import { WindowCells } from './tiles/windows.ts'

/**
 * What a plan keeps from call to call: the codes of its states' values, and memory that calls reuse. Calls of one plan
 * never overlap, because none of them waits.
 */
export class PlanMemory {
  readonly codes = new ValueCodes()
  /** Encodes states as blobs. */
  readonly writer = new ByteWriter(4096)
  #windows = new WindowCells(0, this.codes)

  /** The slots of one hop in their places, with the codes of the plan. */
  placed<Shape extends SlotShape>(slots: readonly Shape[]): ReturnType<typeof placed<Shape>> {
    return placed(slots, this.codes)
  }

  /** For one read of an entity with so many cells. */
  windows(cells: number): WindowCells {
    if (this.#windows.numbers.length < cells) this.#windows = new WindowCells(cells, this.codes)
    return this.#windows
  }
}
