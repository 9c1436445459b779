import type { AllocatedSlot, RowLayout } from './tiles/tile-row.ts'

export interface SlotPlan extends AllocatedSlot {
  /** What the slot means; equal in every feature set that has it. */
  readonly id: string
  /** A lifetime window reads it: its forgotten tiles are merged, not dropped. */
  readonly lifetime: boolean
}

export interface TileGroupPlan {
  readonly hopMs: number
  /** A table never holds more tiles: it drops the oldest ones, and readers flag what reaches there. */
  readonly tilesMax: number
  readonly slots: readonly SlotPlan[]
  /** How the slots share a row. */
  readonly layout: RowLayout
  /** Grouped by delay, so that one walk over the tiles serves all windows of that delay. */
  readonly reads: readonly DelayRead[]
}

export interface DelayRead {
  readonly delayMs: number
  /** Where its cells begin among those of the entity: one row of slots for each window, then its runs. */
  readonly base: number
  /** Ascending; a lifetime window is infinite and last. */
  readonly windowsMs: readonly number[]
  /** Which slots are read, and how many of the windows, from the shortest on, each of them needs. */
  readonly slots: readonly { readonly slot: number; readonly windows: number }[]
  readonly runs: readonly RunRead[]
}

/** Observations back from the newest tile of a window, while all of a tile match. Slots are counts. */
export interface RunRead {
  readonly window: number
  readonly matching: number
  readonly all: number
}
