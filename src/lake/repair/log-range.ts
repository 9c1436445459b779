import { RiverbankError } from '../../base/errors.ts'
import type { EventLog, LogRecord } from '../../ports/log.ts'
import { partitionKey, type LostRange } from '../commit/commit.ts'

export type RangeLog = Pick<EventLog, 'describeTopic' | 'tail'>

/** By topic and partition: what the log still holds, `end` left out. */
export type LogRanges = ReadonlyMap<string, { readonly start: number; readonly end: number }>

export async function readRanges(log: RangeLog, topics: readonly string[]): Promise<LogRanges> {
  const ranges = new Map<string, { start: number; end: number }>()
  for (const topic of topics) {
    for (const { partition, start, end } of (await log.describeTopic(topic)) ?? []) {
      ranges.set(partitionKey(topic, partition), { start, end })
    }
  }
  return ranges
}

/** The partition whose log ends below what the lake has of it, null where none does: that log was made anew. */
export function endsBelow(ranges: LogRanges, covered: ReadonlyMap<string, number>): string | null {
  for (const [key, next] of covered) {
    const end = ranges.get(key)?.end
    if (end !== undefined && end < next) return `${key} ends at ${end}, below ${next}`
  }
  return null
}

/** The records of one partition between two offsets, both included, in their order, as they come. */
export async function readLogRange(
  log: RangeLog,
  { topic, partition, firstOffset, lastOffset }: Pick<LostRange, 'topic' | 'partition' | 'firstOffset' | 'lastOffset'>,
  take: (records: readonly LogRecord[]) => Promise<void>,
): Promise<void> {
  const ranges = (await log.describeTopic(topic)) ?? []
  const own = ranges.find((range) => range.partition === partition)
  if (own === undefined || own.start > firstOffset || own.end <= lastOffset) {
    const held = own === undefined ? 'nothing' : `${own.start} to ${own.end - 1}`
    const asked = `${firstOffset} to ${lastOffset}`
    throw new RiverbankError('log_truncated', `partition ${partition} of ${topic} holds ${held}, not ${asked}`)
  }
  let finish: () => void = () => undefined
  let fail: (error: unknown) => void = () => undefined
  const done = new Promise<void>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  // The scan begins at the end of every other partition.
  const from = new Map(
    ranges.map((range) => [range.partition, range.partition === partition ? firstOffset : range.end]),
  )
  const tail = await log.tail({ topic, from, maxRecords: 2_000, maxWaitMs: 100 }, async (batch) => {
    if (batch.partition !== partition) return
    const records = batch.records.filter(({ offset }) => offset >= firstOffset && offset <= lastOffset)
    try {
      if (records.length > 0) await take(records)
    } catch (error) {
      fail(error)
    }
    if (batch.next > lastOffset) finish()
  })
  try {
    await Promise.race([done, tail.finished])
  } finally {
    await tail.stop()
  }
}
