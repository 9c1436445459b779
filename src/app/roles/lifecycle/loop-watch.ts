import { Worker } from 'node:worker_threads'
import type { Logger } from '../../../ports/telemetry.ts'

/** The loop beats at least this often; the thread checks the beats `looks` times within the limit. */
const beatMsMax = 250
const looks = 20

export interface LoopWatchOptions {
  /** CPU that one turn of the loop may burn. */
  readonly limitMs: number
  /** The role's name on the one line that the thread writes. */
  readonly role: string
  readonly logger: Logger
}

/** The data for the thread. */
export interface WatchedLoop {
  /** Grows with the turns of the loop. */
  readonly beats: Int32Array
  readonly limitMs: number
  readonly lookMs: number
  readonly role: string
}

/**
 * Ends this process by SIGKILL when one turn of its loop burns more CPU than this: an endless loop hears no signal, no
 * timer and no other member, and would keep its partitions. A thread of its own measures the CPU of the main thread: a
 * starved or frozen one, or one that waits for the disk, burns none. Costs a timer every quarter of a second.
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
