import type { LogBatch } from '../../ports/log.ts'

/** From this part of the maximum on, the size grows by as much with each batch. */
const growthSteps = 32

/** Why a batch was too large: the other side did not answer in time, or our own event loop heard nothing meanwhile. */
export type TooLarge = 'timeout' | 'loop'

export interface BatchSizeOptions {
  /** Events handled together when nothing stands against it. */
  readonly recordsMax: number
  /** Milliseconds so far in which the event loop of this process was too busy, or too starved, to listen. */
  readonly unheardMs: () => number
  /** Of one batch: more, and the group may take this member for dead before it is heard again. */
  readonly unheardMsMax: number
  readonly onChange: (records: number, why: TooLarge | null) => void
}

/** The size when a batch began, and what the loop had not listened to until then. */
export interface BatchBegun {
  readonly records: number
  readonly unheardMs: number
}

/**
 * How many events of a partition a processor handles together. What is too much for the servers or for this machine at
 * the moment becomes less: half as many after each failure, down to one, and a little more after each success. So a
 * batch is done at some size at any speed of the machine, instead of the same one being done again for good.
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

  /** So many events were too much. Several partitions may say that of the same moment: it counts once. */
  shrink(records: number, why: TooLarge): void {
    this.#change(Math.min(this.#records, Math.max(1, Math.floor(records / 2))), why)
  }

  /** A batch begins; hand the answer to {@link succeed}. */
  begin(): BatchBegun {
    return { records: this.#records, unheardMs: this.#options.unheardMs() }
  }

  /** A batch was handled and committed. The size at most doubles: what is bearable may be far below a step. */
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

/** The next records of a batch from one of them on, as a batch of their own. */
export function partOf(batch: LogBatch, from: number, records: number): LogBatch {
  if (from === 0 && records >= batch.records.length) return batch
  // Offsets have gaps: where reading goes on after a part is where the next one begins.
  const next = batch.records[from + records]?.offset ?? batch.next
  return { ...batch, records: batch.records.slice(from, from + records), next }
}
