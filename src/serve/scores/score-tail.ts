import { RiverbankError } from '../../base/errors.ts'
import type { EventLog, LogRecord, Subscription } from '../../ports/log.ts'

export interface RecentOptions {
  readonly topic: string
  /** The tail reads about so many records, of all partitions together, again at a start. */
  readonly records: number
}

/** Places in the scores topic, by partition. */
export interface RecentScores {
  /** The tail starts here: far enough back to know the newest scores. */
  readonly from: ReadonlyMap<number, number>
  /** The log's end: records before it are history, also while the tail is still reading them. */
  readonly live: ReadonlyMap<number, number>
}

/**
 * The offsets at which a tail must start so that a new process knows the newest scores, and streams can go on where
 * another process left them. Errors: `topic_missing`, and those of the log.
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

export interface HistoryOptions {
  readonly topic: string
  /** Reads about so many records before `until`, of all partitions together. */
  readonly records: number
  /** By partition: the offset from which on the caller knows the records. */
  readonly until: ReadonlyMap<number, number>
  readonly maxRecords: number
}

/**
 * Reads the records before a place once and ends: with them a process that has just started knows the records before
 * its start. Resolves with a function that stops it early. Errors: `topic_missing`, and those of the log.
 */
export async function readHistory(
  log: Pick<EventLog, 'describeTopic' | 'tail'>,
  { topic, records, until, maxRecords }: HistoryOptions,
  take: (records: readonly LogRecord[]) => Promise<void>,
): Promise<Pick<Subscription, 'finished' | 'stop'>> {
  const ranges = await log.describeTopic(topic)
  if (ranges === null) throw new RiverbankError('topic_missing', `no topic ${topic}`, { canRetry: true })
  const each = Math.ceil(records / Math.max(1, ranges.length))
  const left = new Map<number, number>()
  const from = new Map<number, number>()
  for (const { partition, start, end } of ranges) {
    const stop = until.get(partition) ?? start
    const first = Math.max(start, stop - each)
    // The other partitions have nothing to read: their tail waits at the end.
    from.set(partition, first < stop ? first : end)
    if (first < stop) left.set(partition, stop)
  }
  if (left.size === 0) return { finished: Promise.resolve(), stop: () => Promise.resolve() }
  let isDone: () => void = () => undefined
  const done = new Promise<void>((resolve) => (isDone = resolve))
  const tail = await log.tail({ topic, from, maxRecords, maxWaitMs: 500 }, async (batch) => {
    const stop = left.get(batch.partition)
    if (stop === undefined) return
    await take(batch.records.filter(({ offset }) => offset < stop))
    if (batch.next >= stop) left.delete(batch.partition)
    if (left.size === 0) isDone()
  })
  const finished = Promise.race([done, tail.finished]).finally(() => tail.stop())
  finished.catch(() => undefined)
  return { finished, stop: () => tail.stop() }
}
