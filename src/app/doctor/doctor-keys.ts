import { names, type Config } from '../installation/settings/config.ts'
import { ok, warn, type Finding } from './doctor.ts'
import { openEventLog } from '../installation/servers/event-log.ts'
import { isMisplaced } from '../../events/partitioner.ts'
import type { EventLog, LogRecord } from '../../ports/log.ts'

/** Checks so many records of each partition, the newest. */
const recordsMax = 200
/** The log answers with the records it holds at once; another check reports a log that does not answer. */
const readMs = 10_000

/** Whether producers put keys where Kafka's default partitioner puts them. */
export async function keysFinding(config: Config): Promise<Finding> {
  const log = await openEventLog(config)
  try {
    const { events } = names(config).topics
    const partitions = (await log.describeTopic(events))?.length ?? 0
    const records = await newestRecords(log, events)
    const misplaced = records.filter((record) => isMisplaced(record, partitions))
    if (misplaced.length === 0) return ok(`${records.length} newest events are in the partitions of their keys`)
    const [first] = misplaced
    return warn(
      `${misplaced.length} of the ${records.length} newest events are in another partition than their key gives ` +
        `(such as offset ${first?.offset} of partition ${first?.partition})`,
      'set partitioner=murmur2_random in librdkafka (Kafka clients in Java and kafkajs have it by default): ' +
        'the events of one aggregate are handled in order within one partition only',
    )
  } finally {
    await log.close()
  }
}

async function newestRecords(log: Pick<EventLog, 'describeTopic' | 'tail'>, topic: string): Promise<LogRecord[]> {
  const ends = new Map<number, number>()
  const from = new Map<number, number>()
  for (const { partition, start, end } of (await log.describeTopic(topic)) ?? []) {
    from.set(partition, Math.max(start, end - recordsMax))
    if (end > start) ends.set(partition, end)
  }
  const found: LogRecord[] = []
  if (ends.size === 0) return found
  let finish: () => void = () => undefined
  const all = new Promise<void>((resolve) => (finish = resolve))
  const tail = await log.tail(
    { topic, from, maxRecords: recordsMax, maxWaitMs: 100 },
    ({ partition, records, next }) => {
      found.push(...records)
      if (next >= (ends.get(partition) ?? 0)) ends.delete(partition)
      if (ends.size === 0) finish()
      return Promise.resolve()
    },
  )
  const timer = setTimeout(finish, readMs)
  await Promise.race([all, tail.finished.catch(() => undefined)])
  clearTimeout(timer)
  await tail.stop()
  return found
}
