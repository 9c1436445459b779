import { isRiverbankError, RiverbankError } from '../../../base/errors.ts'
import type { LogBatch, LogRecord, PartitionRange } from '../../../ports/log.ts'
import { decodeFrame } from './log-frame.ts'
import type { PartitionState, RedisTopics, TopicInfo } from './log-topics.ts'
import type { StreamEntry, StreamReader } from './stream-reader.ts'

export interface FeedLimits {
  readonly maxRecords: number
  readonly maxBytes: number
}

const noBytes = Buffer.alloc(0)
/** The last that an id of a stream can have. */
const lastSequence = '18446744073709551615'

interface Chunk {
  readonly offset: number
  readonly records: readonly LogRecord[]
  /** The server had more than what was asked for. */
  readonly more: boolean
}

interface Kept {
  readonly offset: number
  readonly chunk: Promise<Chunk | null>
  readonly drop: AbortController
}

/**
 * Batches of one partition from any offset on, with the checks that make a log that changed under its reader a hard
 * stop: offsets are dense, so a first entry above the one asked for was trimmed away before it was read, and an entry
 * of another incarnation belongs to another topic.
 */
export class PartitionFeed {
  readonly #reader: StreamReader
  readonly #topics: RedisTopics
  readonly #info: TopicInfo
  readonly #partition: number
  readonly #limits: FeedLimits
  readonly #signal: AbortSignal
  #bytesPerRecord: number
  /** What one read gave above maxBytes, or was read ahead. */
  #kept: Kept | null = null
  #waitingAt: number | null = null

  constructor(
    reader: StreamReader,
    topics: RedisTopics,
    info: TopicInfo,
    state: PartitionState,
    limits: FeedLimits,
    signal: AbortSignal,
  ) {
    this.#reader = reader
    this.#topics = topics
    this.#info = info
    this.#partition = state.partition
    this.#limits = limits
    this.#signal = signal
    this.#bytesPerRecord = Math.max(1, state.bytes / Math.max(1, state.end - state.start))
  }

  /** The offset that is waited for just now, null while a batch is worked on. */
  get waitingAt(): number | null {
    return this.#waitingAt
  }

  /** Resolves with a batch that starts at `offset`, or null once the signal is aborted. */
  async next(offset: number): Promise<LogBatch | null> {
    const kept = this.#kept
    this.#kept = null
    if (kept !== null && kept.offset !== offset) kept.drop.abort()
    this.#waitingAt = offset
    let chunk: Chunk | null
    try {
      chunk = await (kept?.offset === offset ? kept.chunk : this.#read(offset, this.#signal))
    } finally {
      this.#waitingAt = null
    }
    if (chunk === null || this.#signal.aborted) return null
    const records = this.#cut(chunk)
    const next = offset + records.length
    const allRead = !chunk.more && records.length === chunk.records.length
    const end = allRead ? next : await this.#end(next)
    return { topic: this.#info.topic, partition: this.#partition, records, next, end }
  }

  /** Reads on while `batch` is worked on, when there is more to read: the server answers meanwhile. */
  readAhead(batch: LogBatch): void {
    if (this.#kept !== null || batch.end <= batch.next || this.#signal.aborted) return
    const drop = new AbortController()
    // Not AbortSignal.any: the signal that lives longest would keep a trace of every read, for as long as it lives.
    const end = () => drop.abort()
    this.#signal.addEventListener('abort', end, { once: true })
    const chunk = this.#read(batch.next, drop.signal).finally(() => this.#signal.removeEventListener('abort', end))
    // Whoever asks for it gets the error; nobody may ask.
    chunk.catch(() => undefined)
    this.#kept = { offset: batch.next, chunk, drop }
  }

  /**
   * Why the offset that was waited for, before and after `range` was asked for, can never come; null when it can. A
   * stream that was deleted or emptied wakes nobody.
   */
  stuck(range: PartitionRange, waitedAt: number | null): RiverbankError | null {
    if (waitedAt === null || waitedAt !== this.#waitingAt) return null
    return outOfRange(this.#info.topic, range, waitedAt)
  }

  async #read(offset: number, signal: AbortSignal): Promise<Chunk | null> {
    const { incarnation, partitions, topic } = this.#info
    const { maxBytes, maxRecords } = this.#limits
    const count = Math.max(1, Math.min(maxRecords, Math.floor(maxBytes / this.#bytesPerRecord)))
    // Ids below the incarnation are no part of the log: another program may have written them before it began.
    const after = offset === 0 ? `${BigInt(incarnation) - 1n}-${lastSequence}` : `${incarnation}-${offset - 1}`
    const stream = partitions[this.#partition]?.stream ?? ''
    const answer = await this.#reader.read({ stream, after, count }, signal)
    if (answer === null) return null
    const where = `${topic}/${this.#partition}`
    const records = answer.entries.map((entry, i) => this.#record(entry, offset + i, where))
    if (records.some(({ fault }) => fault !== undefined)) await this.#topics.adopt(this.#info, this.#partition)
    const bytes = records.reduce((sum, record) => sum + record.value.length, 0)
    this.#bytesPerRecord = Math.max(1, bytes / records.length)
    return { offset, records, more: answer.more }
  }

  /** The log's end. Without a connection the reader is about to start over anyway. */
  async #end(next: number): Promise<number> {
    try {
      return Math.max(next, (await this.#topics.state(this.#info, this.#partition)).end)
    } catch (error) {
      if (isRiverbankError(error) && error.canRetry) return next
      throw error
    }
  }

  #record([id, fields]: StreamEntry, expected: number, where: string): LogRecord {
    const { topic, incarnation } = this.#info
    const found = id.toString('latin1')
    if (found !== `${incarnation}-${expected}`) throw readElsewhere(found, incarnation, `${where} was`, expected)
    const [name, stored = noBytes] = fields
    const isOurs = fields.length === 2 && name?.toString('latin1') === 'r'
    const read = isOurs ? decodeFrame(topic, this.#partition, expected, stored) : 'an entry of other fields than ours'
    return typeof read === 'string' ? this.#unreadable(expected, isOurs ? stored : fields, read) : read
  }

  /** What another program wrote. Its time is the log's first: the same one for whoever reads it, and whenever. */
  #unreadable(offset: number, found: Buffer | readonly Buffer[], why: string): LogRecord {
    const value = Buffer.isBuffer(found)
      ? found
      : Buffer.from(JSON.stringify(found.map((part) => part.toString('base64'))))
    const appendTimeMs = Math.floor(Number(this.#info.incarnation) / 1_000)
    const fault = {
      code: 'record_unreadable',
      detail: Buffer.isBuffer(found) ? why : `${why}: base64, as JSON`,
    } as const
    const { topic } = this.#info
    return { topic, partition: this.#partition, offset, appendTimeMs, key: null, value, headers: {}, fault }
  }

  /** At most maxBytes, at least one record; the rest is kept for the next call. */
  #cut(chunk: Chunk): readonly LogRecord[] {
    let bytes = 0
    let length = 0
    for (const record of chunk.records) {
      bytes += record.value.length
      if (length > 0 && bytes > this.#limits.maxBytes) break
      length += 1
    }
    if (length === chunk.records.length) return chunk.records
    const rest = { offset: chunk.offset + length, records: chunk.records.slice(length), more: chunk.more }
    this.#kept = { offset: rest.offset, chunk: Promise.resolve(rest), drop: new AbortController() }
    return chunk.records.slice(0, length)
  }
}

function readElsewhere(found: string, incarnation: string, read: string, expected: number): RiverbankError {
  const [own, offset] = found.split('-')
  if (own !== incarnation) {
    return new RiverbankError('log_recreated', `${read} created anew while it was read at offset ${expected}`)
  }
  const why = `${read} read at offset ${expected}, and starts at ${offset} by now: records are gone unread`
  return new RiverbankError('log_truncated', why)
}

/** Why a reader cannot go on at `offset` of a partition that holds `range`, or null when it can. */
export function outOfRange(topic: string, range: PartitionRange, offset: number): RiverbankError | null {
  const where = `${topic}/${range.partition}`
  if (offset < range.start) {
    return new RiverbankError('log_truncated', `${where} starts at ${range.start}: offset ${offset} is gone`)
  }
  if (offset > range.end) {
    const why = `${where} ends at ${range.end}, below the position ${offset}: it was created anew or has lost its tail`
    return new RiverbankError('log_recreated', why)
  }
  return null
}
