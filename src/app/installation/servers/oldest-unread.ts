import { RiverbankError } from '../../../base/errors.ts'
import { partitionKey } from '../../../lake/commit/commit.ts'
import type { EventLog } from '../../../ports/log.ts'

/** The log answers with a record that it holds at once; a log that does not answer is not worth a longer wait. */
const readMs = 10_000

/**
 * When the log took the oldest record at or above `covered` in any partition of the topics; null when nothing is left.
 * Errors: `log_unavailable` (canRetry).
 */
export async function oldestUnreadMs(
  log: Pick<EventLog, 'describeTopic' | 'tail'>,
  topics: readonly string[],
  covered: ReadonlyMap<string, number>,
): Promise<number | null> {
  const oldest = await Promise.all(topics.map((topic) => oldestOf(log, topic, covered)))
  const least = Math.min(...oldest)
  return least === Infinity ? null : least
}

async function oldestOf(
  log: Pick<EventLog, 'describeTopic' | 'tail'>,
  topic: string,
  covered: ReadonlyMap<string, number>,
): Promise<number> {
  const from = new Map<number, number>()
  const left = new Set<number>()
  for (const { partition, start, end } of (await log.describeTopic(topic)) ?? []) {
    const next = Math.max(start, covered.get(partitionKey(topic, partition)) ?? start)
    from.set(partition, Math.min(next, end))
    if (next < end) left.add(partition)
  }
  let oldest = Infinity
  if (left.size === 0) return oldest
  let finish: () => void = () => undefined
  const all = new Promise<void>((resolve) => (finish = resolve))
  const tail = await log.tail({ topic, from, maxRecords: 1, maxWaitMs: 100 }, ({ partition, records }) => {
    const [first] = records
    if (left.delete(partition) && first !== undefined) oldest = Math.min(oldest, first.appendTimeMs)
    if (left.size === 0) finish()
    return Promise.resolve()
  })
  const timer = setTimeout(finish, readMs)
  await Promise.race([all, tail.finished.catch(() => undefined)])
  clearTimeout(timer)
  await tail.stop()
  if (left.size > 0) {
    const why = `partitions ${[...left].join(', ')} of ${topic} were not read: nobody can tell for how long they wait`
    throw new RiverbankError('log_unavailable', why, { canRetry: true })
  }
  return oldest
}
