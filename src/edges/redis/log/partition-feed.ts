import { isRiverbankError, RiverbankError } from '../../../base/errors.ts'
import type { LogBatch, LogRecord, PartitionRange } from '../../../ports/log.ts'
import { appendTimeIn, decodeFrame } from './log-frame.ts'
import type { PartitionState, RedisTopics, TopicInfo } from './log-topics.ts'
import type { StreamEntry, StreamReader } from './stream-reader.ts'

export interface FeedLimits {
  readonly maxRecords: number
  readonly maxBytes: number
}

const noBytes = Buffer.alloc(0)
/** The largest sequence of a stream's ids. */
const lastSequence = '18446744073709551615'

interface Chunk {
  readonly offset: number
  readonly records: readonly LogRecord[]
  /** The server had more entries than were requested. */
  readonly more: boolean
}

interface Kept {
  readonly offset: number
  readonly chunk: Promise<Chunk | null>
  readonly drop: AbortController
}

/**
 * Reads batches of one partition from any offset on, and stops hard when the log changed under its reader: offsets are
 * dense, so a first entry above the requested one means that the log trimmed unread records, and an entry of another
 * incarnation belongs to another topic.
 */
export class PartitionFeed {
  readonly #reader: StreamReader
  readonly #topics: RedisTopics
  readonly #info: TopicInfo
  readonly #partition: number
  readonly #limits: FeedLimits
  readonly #signal: AbortSignal
  #bytesPerRecord: number
  /** The rest of a read above maxBytes, or a read ahead. */
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

  /** The offset that the feed waits for now, null while the reader works on a batch. */
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

  /** Reads on while the reader works on `batch`, if there is more: the server answers meanwhile. */
  readAhead(batch: LogBatch): void {
    if (this.#kept !== null || batch.end <= batch.next || this.#signal.aborted) return
    const drop = new AbortController()
    // Not AbortSignal.any: the signal that lives longest would hold a reference to every read.
    const end = () => drop.abort()
    this.#signal.addEventListener('abort', end, { once: true })
    const chunk = this.#read(batch.next, drop.signal).finally(() => this.#signal.removeEventListener('abort', end))
    // The next read gets the error; there may be none.
    chunk.catch(() => undefined)
    this.#kept = { offset: batch.next, chunk, drop }
  }

  /**
   * Why the offset for which the feed waited, before and after the request for `range`, can never come; null when it
   * can. A deleted or emptied stream does not wake its readers.
   */
  stuck(range: PartitionRange, waitedAt: number | null): RiverbankError | null {
    if (waitedAt === null || waitedAt !== this.#waitingAt) return null
    return outOfRange(this.#info.topic, range, waitedAt)
  }

  async #read(offset: number, signal: AbortSignal): Promise<Chunk | null> {
    const { incarnation, partitions, topic } = this.#info
    const { maxBytes, maxRecords } = this.#limits
    const count = Math.max(1, Math.min(maxRecords, Math.floor(maxBytes / this.#bytesPerRecord)))
    // Entries with ids below the incarnation are not of the log: another program may have written them before it began.
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

  /** The log's end; without a connection `next`, for the reader is about to start over anyway. */
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
    const [name = noBytes, stored = noBytes] = fields
    const appendTimeMs = fields.length === 2 ? appendTimeIn(name) : null
    if (appendTimeMs === null) return this.#unreadable(expected, fields, 'an entry of other fields than ours')
    const read = decodeFrame({ topic, partition: this.#partition, offset: expected, appendTimeMs }, stored)
    return typeof read === 'string' ? this.#unreadable(expected, stored, read) : read
  }

  /** A record that another program wrote. Its time is the log's first, so that all reads agree on it. */
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

  /** Takes at most maxBytes, at least one record; keeps the rest for the next call. */
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
