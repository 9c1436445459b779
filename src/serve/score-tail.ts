import { RiverbankError } from '../core/errors.ts'
import type { EventLog } from '../ports.ts'

export interface RecentStart {
  readonly topic: string
  /** About how many records, all partitions together, are read again at a start. */
  readonly records: number
}

/**
 * Where a tail must start so that a new process knows the newest scores, and streams can go on where another process
 * left them. Errors: `topic_missing`, and those of the log.
 */
export async function recentStart(log: EventLog, options: RecentStart): Promise<ReadonlyMap<number, number>> {
  const ranges = await log.describeTopic(options.topic)
  if (ranges === null) throw new RiverbankError('topic_missing', `no topic ${options.topic}`, { canRetry: true })
  const each = Math.ceil(options.records / Math.max(1, ranges.length))
  return new Map(ranges.map(({ partition, start, end }) => [partition, Math.max(start, end - each)]))
}
