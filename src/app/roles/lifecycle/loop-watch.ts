import { Worker } from 'node:worker_threads'
import type { Logger } from '../../../ports/telemetry.ts'

/** Between two signs of life of the loop, and how often the thread looks for them within the limit. */
const beatMsMax = 250
const looks = 20

export interface LoopWatchOptions {
  /** CPU that one turn of the loop may burn. */
  readonly limitMs: number
  /** On the one line that the thread writes. */
  readonly role: string
  readonly logger: Logger
}

/** What the thread is given. */
export interface WatchedLoop {
  /** Grows with the turns of the loop. */
  readonly beats: Int32Array
  readonly limitMs: number
  readonly lookMs: number
  readonly role: string
}

/**
 * Ends this process by SIGKILL when one turn of its loop burns more CPU than this: code that loops for good hears no signal,
 * no timer and no other member, and would keep its partitions. A thread of its own looks, and goes by the CPU of the main
 * thread: one that is starved, frozen, or waits for the disk burns none. Costs a timer every quarter of a second.
 */
export function watchLoop({ limitMs, role, logger }: LoopWatchOptions): void {
  const beats = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  setInterval(() => Atomics.add(beats, 0, 1), Math.min(beatMsMax, limitMs / looks)).unref()
  const workerData: WatchedLoop = { beats, limitMs, lookMs: limitMs / looks, role }
  const thread = new Worker(new URL('./loop-watch-thread.js', import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  })
  thread.on('error', (error) => logger.warn('nobody watches whether the loop goes on', { error }))
  thread.unref()
}
