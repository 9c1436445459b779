import { names, type Config } from '../../installation/settings/config.ts'
import type { DeadLetterReplayed } from '../../../scoring/output-events.ts'
import { readLetter, type PlacedLetter } from '../../../process/dead-letters/placed-letter.ts'
import type { EventLog, LogRecord } from '../../../ports/log.ts'

/** Takes the records of the dead letter topic, in the order of each partition. */
export interface DeadLetterReader {
  /** Called once for each letter, not for its copies. */
  readonly letter?: (letter: PlacedLetter) => void
  readonly replayed?: (replayed: DeadLetterReplayed) => void
  readonly foreign?: (record: LogRecord) => void
  /** Called after each batch: the next one waits for it. */
  readonly settle?: () => Promise<void>
}

/** Reads the topic from its start to its end at the call. Rejects with the errors of the log and of the reader. */
export async function readDeadLetters(config: Config, log: EventLog, reader: DeadLetterReader): Promise<void> {
  const { topics } = names(config)
  const ranges = (await log.describeTopic(topics.deadLetters)) ?? []
  const ends = new Map(ranges.map(({ partition, end }) => [partition, end]))
  const unread = new Set(ranges.filter(({ start, end }) => end > start).map(({ partition }) => partition))
  if (unread.size === 0) return
  const seen = new Set<string>()
  const done = deferred()
  const from = new Map(ranges.map(({ partition, start }) => [partition, start]))
  const tail = await log.tail({ topic: topics.deadLetters, from, maxRecords: 500, maxWaitMs: 200 }, async (batch) => {
    const end = ends.get(batch.partition) ?? 0
    for (const record of batch.records) if (record.offset < end) hand(record, reader, seen)
    await reader.settle?.()
    if (batch.next >= end) unread.delete(batch.partition)
    if (unread.size === 0) done.resolve()
  })
  await Promise.race([done.promise, tail.finished])
  await tail.stop()
}

function deferred() {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

function hand(record: LogRecord, reader: DeadLetterReader, seen: Set<string>): void {
  const reading = readLetter(record)
  switch (reading.kind) {
    case 'foreign':
      return reader.foreign?.(record)
    case 'replayed':
      return reader.replayed?.(reading.replayed)
    case 'letter':
      if (seen.has(reading.letter.id)) return
      seen.add(reading.letter.id)
      return reader.letter?.(reading.letter)
  }
}

/** Reports on stderr the position of a record that is no event of ours: any program may have written it. */
export function tellForeign({ topic, partition, offset }: LogRecord): void {
  process.stderr.write(`${topic}/${partition} holds no dead letter at offset ${offset}\n`)
}

/** Counts the dead letters that the log still has, by code: a letter's copies once, a replayed letter too. */
export async function countDeadLetters(config: Config, log: EventLog): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  await readDeadLetters(config, log, {
    letter: ({ data: { code } }) => void counts.set(code, (counts.get(code) ?? 0) + 1),
    foreign: tellForeign,
  })
  return counts
}
