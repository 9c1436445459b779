import type { LogBatch } from '../../ports/log.ts'

/** After each batch the size grows by at most the maximum divided by this. */
const growthSteps = 32

/** Why a batch was too large: a server did not answer in time, or our event loop did not listen meanwhile. */
export type TooLarge = 'timeout' | 'loop'

export interface BatchSizeOptions {
  /** The size when no batch was too large. */
  readonly recordsMax: number
  /** Milliseconds so far in which the event loop of this process was too busy, or too starved, to listen. */
  readonly unheardMs: () => number
  /** Per batch; beyond it, the group may take this member for dead before it hears from it again. */
  readonly unheardMsMax: number
  readonly onChange: (records: number, why: TooLarge | null) => void
}

/** The size when a batch began, and how long the loop had not listened until then. */
export interface BatchBegun {
  readonly records: number
  readonly unheardMs: number
}

/**
 * How many events of a partition a processor handles together. A batch that is too large for the servers or this
 * machine halves the size, down to one; each success raises it a little. So a machine of any speed gets a batch done at
 * some size, instead of repeating the same one for ever.
 */
export class BatchSize {
  readonly #options: BatchSizeOptions
  #records: number

  constructor(options: BatchSizeOptions) {
    this.#options = options
    this.#records = options.recordsMax
  }

  get records(): number {
    return this.#records
  }

  /** This many events were too many. Several partitions may report the same moment: it counts once. */
  shrink(records: number, why: TooLarge): void {
    this.#change(Math.min(this.#records, Math.max(1, Math.floor(records / 2))), why)
  }

  /** Call it when a batch begins, and hand the answer to {@link succeed}. */
  begin(): BatchBegun {
    return { records: this.#records, unheardMs: this.#options.unheardMs() }
  }

  /** Call it when a batch is committed. The size at most doubles: the right one may be far below a step. */
  succeed(begun: BatchBegun): void {
    const { recordsMax, unheardMs, unheardMsMax } = this.#options
    if (unheardMs() - begun.unheardMs > unheardMsMax) {
      this.shrink(begun.records, 'loop')
      return
    }
    const step = Math.min(this.#records, Math.ceil(recordsMax / growthSteps))
    this.#change(Math.min(recordsMax, this.#records + step), null)
  }

  #change(records: number, why: TooLarge | null): void {
    if (records === this.#records) return
    this.#records = records
    this.#options.onChange(records, why)
  }
}

/** A batch of the next `records` records of a batch, from the one at `from` on. */
export function partOf(batch: LogBatch, from: number, records: number): LogBatch {
  if (from === 0 && records >= batch.records.length) return batch
  // Offsets have gaps: a part ends where the next one begins.
  const next = batch.records[from + records]?.offset ?? batch.next
  return { ...batch, records: batch.records.slice(from, from + records), next }
}
