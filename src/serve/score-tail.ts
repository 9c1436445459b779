import { RiverbankError } from '../core/errors.ts'
import type { EventLog } from '../ports.ts'

export interface RecentOptions {
  readonly topic: string
  /** About how many records, all partitions together, are read again at a start. */
  readonly records: number
}

/** Places in the scores topic, by partition. */
export interface RecentScores {
  /** Where the tail starts: far enough back to know the newest scores. */
  readonly from: ReadonlyMap<number, number>
  /** The log's end: what lies before it is history, also while the tail is still reading it. */
  readonly live: ReadonlyMap<number, number>
}

/**
 * Where a tail must start so that a new process knows the newest scores, and streams can go on where another process
 * left them. Errors: `topic_missing`, and those of the log.
 */
export async function recentScores(log: EventLog, options: RecentOptions): Promise<RecentScores> {
  const ranges = await log.describeTopic(options.topic)
  if (ranges === null) throw new RiverbankError('topic_missing', `no topic ${options.topic}`, { canRetry: true })
  const each = Math.ceil(options.records / Math.max(1, ranges.length))
  return {
    from: new Map(ranges.map(({ partition, start, end }) => [partition, Math.max(start, end - each)])),
    live: new Map(ranges.map(({ partition, end }) => [partition, end])),
  }
}
