import type { Config } from '../../installation/settings/config.ts'
import { admits, type LetterFilter } from './dead-letter-filter.ts'
import { readDeadLetters, tellForeign } from './dead-letter-topic.ts'
import { openEventLog } from '../../installation/servers/event-log.ts'
import { table } from '../../command-line/table.ts'
import { RiverbankError } from '../../../base/errors.ts'
import { namesIn, replayedRecord, type PlacedLetter } from '../../../process/dead-letters/placed-letter.ts'
import { replayOf } from '../../../process/dead-letters/replay.ts'
import type { EventLog } from '../../../ports/log.ts'

export interface ListOptions extends LetterFilter {
  readonly json?: boolean
  readonly limit: number
}

export async function listDeadLetters(config: Config, options: ListOptions): Promise<number> {
  const log = await openEventLog(config)
  let letters: PlacedLetter[] = []
  // The reader takes partitions side by side; the list has the newest letters of all.
  const newest = () => letters.toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time)).slice(-options.limit)
  const replays = new Map<string, number[]>()
  try {
    await readDeadLetters(config, log, {
      letter: (letter) => {
        if (!admits(options, letter)) return
        letters.push(letter)
        if (letters.length > 2 * options.limit) letters = newest()
      },
      replayed: ({ letterId, replayedAtMs }) => {
        replays.set(letterId, [...(replays.get(letterId) ?? []), replayedAtMs])
      },
      foreign: tellForeign,
    })
  } finally {
    await log.close()
  }
  const listed = newest().map((letter) => describe(letter, replays.get(letter.id) ?? []))
  if (options.json === true) for (const each of listed) process.stdout.write(`${JSON.stringify(each)}\n`)
  else process.stdout.write(table(listed.map(rowOf)))
  return 0
}

/** `replayedAtMs`: every time at which a replay sent the letter, oldest first. */
function describe({ record: { topic, partition, offset }, ...event }: PlacedLetter, replayedAtMs: readonly number[]) {
  const replayedAt = replayedAtMs.toSorted((a, b) => a - b).map((ms) => new Date(ms).toISOString())
  return { ...event, position: { topic, partition, offset }, ...namesIn(event.data), replayedAt }
}

function rowOf({ id, time, eventId, eventType, key, replayedAt, data }: ReturnType<typeof describe>) {
  const { attempts, code, detail } = data
  const replayed = replayedAt.at(-1) ?? null
  return { letter: id, time, event: eventId, type: eventType, key, attempts, replayed, code, detail }
}

export interface SendOptions extends LetterFilter {
  /** One letter by its id; no other filter counts beside it. */
  readonly letter?: string
  /** Also sends letters that were replayed before. */
  readonly again?: boolean
  readonly dryRun?: boolean
  /** Admits events back to this time, for `event_too_old`. */
  readonly historyFrom?: string
}

/**
 * Publishes records of dead letters to their topics, with the number of attempts so far in a header, and then a record
 * of the replay. A record that fails again becomes a new dead letter with one more attempt; the processor refuses one
 * that was applied meanwhile as a duplicate. After a crash between the two the next replay sends those letters once
 * more.
 */
export async function sendDeadLetters(config: Config, log: EventLog, options: SendOptions): Promise<Tally> {
  const tally: Tally = { byCode: {}, leftOut: 0, keptBack: 0, unsendable: 0 }
  const replayed = new Set<string>()
  await readDeadLetters(config, log, { replayed: ({ letterId }) => replayed.add(letterId), foreign: tellForeign })
  const sender = new Sender(log, options)
  await readDeadLetters(config, log, {
    letter: (letter) => {
      if (isChosen(letter, options, tally, replayed)) sender.add(letter)
    },
    settle: () => sender.send(),
  })
  return tally
}

/** `riverbank dead-letters replay`. Errors: `dead_letter_not_found`, those of the log. */
export async function replayDeadLetters(
  config: Config,
  options: SendOptions & { readonly json?: boolean },
): Promise<number> {
  const log = await openEventLog(config)
  const tally = await sendDeadLetters(config, log, options).finally(() => log.close())
  const sum = Object.values(tally.byCode).reduce((total, count) => total + count, 0)
  if (options.letter !== undefined && sum + tally.leftOut + tally.unsendable === 0) {
    throw new RiverbankError('dead_letter_not_found', `the log has no dead letter ${options.letter}`)
  }
  tell(sum, tally, options)
  return 0
}

/** Numbers of letters. */
export interface Tally {
  /** Sent letters by code, or with `dryRun` those to send. */
  readonly byCode: Record<string, number>
  /** Letters replayed before. */
  leftOut: number
  /** Letters whose record is in the states already. */
  keptBack: number
  /** Letters whose bytes are no whole record. */
  unsendable: number
}

function isChosen(letter: PlacedLetter, options: SendOptions, tally: Tally, replayed: ReadonlySet<string>): boolean {
  const { code = 'all', ...others } = options
  const isNamed = options.letter !== undefined || code !== 'all'
  if (options.letter !== undefined && options.letter !== letter.id) return false
  if (options.letter === undefined && !admits(isNamed ? { ...others, code } : others, letter)) return false
  const { data } = letter
  if (noRecords.has(data.code) || data.valueBytes !== undefined) tally.unsendable += 1
  else if (!isNamed && applied.has(data.code)) tally.keptBack += 1
  else if (options.again !== true && replayed.has(letter.id)) tally.leftOut += 1
  else {
    tally.byCode[data.code] = (tally.byCode[data.code] ?? 0) + 1
    return true
  }
  return false
}

/**
 * Codes of records that are in the states: sending one again makes a duplicate, or, once its id is forgotten, counts it
 * twice. For a score, send the event under another id. A replay sends these only by their code or by a letter's id.
 */
const applied: ReadonlySet<string> = new Set([
  'duplicate_event',
  'vector_not_finite',
  'score_not_finite',
  'scoring_failed',
])

/** Codes of letters whose bytes are an unreadable batch or frame. */
const noRecords: ReadonlySet<string> = new Set(['batch_unreadable', 'record_unreadable', 'record_too_large'])

/** A crash can leave so many sent letters without a record of their replay. */
const lettersMax = 100
/** One call publishes about so many bytes of values in base64. */
const bytesMax = 4 * 1_048_576

/** Sends records, and then records the replay beside their letters. */
class Sender {
  readonly #log: Pick<EventLog, 'publish'>
  readonly #options: Pick<SendOptions, 'dryRun' | 'historyFrom'>
  #waiting: PlacedLetter[] = []

  constructor(log: Pick<EventLog, 'publish'>, options: Pick<SendOptions, 'dryRun' | 'historyFrom'>) {
    this.#log = log
    this.#options = options
  }

  add(letter: PlacedLetter): void {
    if (this.#options.dryRun !== true) this.#waiting.push(letter)
  }

  async send(): Promise<void> {
    while (this.#waiting.length > 0) {
      const letters = this.#waiting.splice(0, fitting(this.#waiting))
      await this.#log.publish(letters.map(({ data }) => replayOf(data, this.#options.historyFrom)))
      const nowMs = Date.now()
      await this.#log.publish(letters.map((letter) => replayedRecord(letter, nowMs)))
    }
  }
}

/** How many of the first letters fit into one call: one at least. */
function fitting(letters: readonly PlacedLetter[]): number {
  let bytes = 0
  const end = letters.findIndex(({ data }) => (bytes += data.value.length) > bytesMax)
  return Math.max(1, Math.min(lettersMax, end < 0 ? letters.length : end))
}

function tell(replayed: number, tally: Tally, { json, dryRun }: SendOptions & { json?: boolean }): void {
  const { byCode, leftOut, keptBack, unsendable } = tally
  if (unsendable > 0)
    process.stderr.write(`${unsendable} hold bytes that are no whole record, and cannot be sent again\n`)
  if (keptBack > 0) {
    process.stderr.write(
      `${keptBack} are in the states already, and are sent only by their code or their letter's id\n`,
    )
  }
  if (json === true) {
    process.stdout.write(`${JSON.stringify({ replayed, byCode, leftOut, keptBack, unsendable })}\n`)
    return
  }
  const verb = dryRun === true ? 'would be replayed' : 'replayed'
  const before = leftOut === 0 ? '' : `; ${leftOut} left out that were replayed before (--again sends them, too)`
  process.stdout.write(`${replayed} ${verb} ${JSON.stringify(byCode)}${before}\n`)
}
