import { z } from 'zod'
import { names, type Config } from './config.ts'
import { openEventLog } from './event-log.ts'
import { table } from './table.ts'
import { deadLetterSchema } from '../core/emitted.ts'
import type { EventLog, LogRecord } from '../ports.ts'
import { replayOf } from '../process/replay.ts'

const envelope = z.object({ id: z.string(), time: z.string(), data: deadLetterSchema })
type Letter = z.infer<typeof envelope>

/** Dead letters in the log, oldest first within each partition, copies left out. */
async function readDeadLetters(config: Config, log: EventLog, take: (letter: Letter) => Promise<void>): Promise<void> {
  const { topics } = names(config)
  const ranges = (await log.describeTopic(topics.deadLetters)) ?? []
  const ends = new Map(ranges.filter(({ start, end }) => end > start).map(({ partition, end }) => [partition, end]))
  if (ends.size === 0) return
  const seen = new Set<string>()
  const done = deferred()
  const from = new Map(ranges.map(({ partition, start }) => [partition, start]))
  const tail = await log.tail({ topic: topics.deadLetters, from, maxRecords: 500, maxWaitMs: 200 }, async (batch) => {
    for (const record of batch.records) {
      const letter = letterOf(record)
      if (letter === null) continue
      if (!seen.has(letter.id)) await take(letter)
      seen.add(letter.id)
    }
    if (batch.next >= (ends.get(batch.partition) ?? Infinity)) ends.delete(batch.partition)
    if (ends.size === 0) done.resolve()
  })
  await Promise.race([done.promise, tail.finished])
  await tail.stop()
}

/** Null for what is no dead letter of ours, which anybody may have written there; stderr says where it is. */
function letterOf({ topic, partition, offset, value, fault }: LogRecord): Letter | null {
  try {
    if (fault === undefined) return envelope.parse(JSON.parse(Buffer.from(value).toString('utf8')))
  } catch {
    // Told below.
  }
  process.stderr.write(`${topic}/${partition} holds no dead letter at offset ${offset}\n`)
  return null
}

/** Dead letters that the log still has, by code; copies of a letter count once. */
export async function countDeadLetters(config: Config, log: EventLog): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  await readDeadLetters(config, log, ({ data: { code } }) => {
    counts.set(code, (counts.get(code) ?? 0) + 1)
    return Promise.resolve()
  })
  return counts
}

function deferred() {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

export async function listDeadLetters(
  config: Config,
  options: { readonly json?: boolean; readonly limit: number },
): Promise<number> {
  const log = await openEventLog(config)
  const letters: Letter[] = []
  try {
    await readDeadLetters(config, log, (letter) => {
      letters.push(letter)
      if (letters.length > options.limit) letters.shift()
      return Promise.resolve()
    })
  } finally {
    await log.close()
  }
  if (options.json === true) {
    for (const letter of letters) process.stdout.write(`${JSON.stringify(letter)}\n`)
  } else {
    const rows = letters.map(({ time, data }) => ({
      time,
      partition: data.position.partition,
      offset: data.position.offset,
      attempts: data.attempts,
      code: data.code,
      detail: data.detail,
    }))
    process.stdout.write(table(rows))
  }
  return 0
}

/**
 * Publishes dead letters to where they came from, with the number of tries so far in a header. What fails again becomes
 * a new dead letter with one more attempt; what was applied meanwhile is refused as a duplicate, not applied twice.
 */
export async function replayDeadLetters(
  config: Config,
  options: {
    readonly json?: boolean
    readonly code: string
    readonly dryRun?: boolean
    /** Opens the past that far, for `event_too_old`. */
    readonly historyFrom?: string
  },
): Promise<number> {
  const log = await openEventLog(config)
  const counts: Record<string, number> = {}
  let kept = 0
  try {
    await readDeadLetters(config, log, async ({ data }) => {
      const wanted = options.code === 'all' ? !keptBack.has(data.code) : data.code === options.code
      if (!wanted) return
      if (noRecords.has(data.code) || data.valueBytes !== undefined) {
        kept += 1
        return
      }
      counts[data.code] = (counts[data.code] ?? 0) + 1
      if (options.dryRun !== true) await log.publish([replayOf(data, options.historyFrom)])
    })
  } finally {
    await log.close()
  }
  const replayed = Object.values(counts).reduce((sum, count) => sum + count, 0)
  if (kept > 0) process.stderr.write(`${kept} hold bytes that are no whole record, and cannot be sent again\n`)
  const verb = options.dryRun === true ? 'would be replayed' : 'replayed'
  if (options.json === true) process.stdout.write(`${JSON.stringify({ replayed, byCode: counts })}\n`)
  else process.stdout.write(`${replayed} ${verb} ${JSON.stringify(counts)}\n`)
  return 0
}

/**
 * Codes of records that are in the states: sending one again makes a duplicate, or worse, once its id is forgotten. A
 * payment without a score is sent anew under another id.
 */
const applied = ['duplicate_event', 'vector_not_finite', 'score_not_finite', 'scoring_failed']

/** Their bytes are a batch, or a frame, that nobody could read. */
const noRecords: ReadonlySet<string> = new Set(['batch_unreadable', 'record_unreadable', 'record_too_large'])

/** What `--code all` leaves where it is. */
const keptBack: ReadonlySet<string> = new Set([...applied, ...noRecords])
