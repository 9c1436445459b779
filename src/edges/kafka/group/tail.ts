import { randomUUID } from 'node:crypto'
import { RiverbankError } from '../../../base/errors.ts'
import type { LogBatch, Subscription, TailOptions } from '../../../ports/log.ts'
import { startConsumption, type ConsumptionContext } from './consumption.ts'

/**
 * Reads every partition in a group of its own, which commits nothing and is deleted at the end. After an outage it
 * takes a new group, because the coordinator would keep the partitions for the member that was cut off; it keeps its
 * positions itself, and goes on from them.
 */
export async function startTail(
  context: ConsumptionContext,
  options: TailOptions,
  handler: (batch: LogBatch) => Promise<void>,
): Promise<Subscription> {
  const { admin, limits } = context
  const { topic, from, maxRecords, maxWaitMs } = options
  const ranges = await admin.describeTopic(topic)
  if (ranges === null) throw new RiverbankError('topic_missing', `there is no topic ${topic}`)
  const positions = new Map<number, number>()
  for (const { partition, end } of ranges) {
    const position = from === 'end' ? end : from.get(partition)
    if (position !== undefined) positions.set(partition, position)
  }
  const name = `riverbank.tail.${randomUUID()}`
  let group = name
  const subscription = await startConsumption(
    { ...context, groupOf: (session) => (group = `${name}.${session}`) },
    {
      group: name,
      topics: [topic],
      maxRecords,
      maxWaitMs,
      maxBytes: limits.tailFetchBytes,
      sessionTimeoutMs: limits.tailSessionTimeoutMs,
      concurrency: 1,
    },
    {
      assigned: (assignment) => Promise.resolve(positions.get(assignment.partition) ?? assignment.range.start),
      batch: async (_assignment, batch) => {
        await handler(batch)
        positions.set(batch.partition, batch.next)
        return batch.next
      },
    },
  )
  return {
    finished: subscription.finished,
    stop: async () => {
      await subscription.stop()
      // The groups of lost sessions are empty; brokers forget them by themselves.
      await admin.deleteGroup(group).catch(() => undefined)
    },
  }
}
