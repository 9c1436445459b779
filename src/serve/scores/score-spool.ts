import { randomUUID } from 'node:crypto'
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { IdentityIndex, type Identity } from './identity-index.ts'
import { scoreIn, type FoundScore, type ScoreEntry } from './score-entry.ts'
import type { Logger, Meter } from '../../ports/telemetry.ts'

export interface ScoreSpoolOptions {
  /**
   * Folder of the files; created when it is missing. The files are unlinked: they end with the process, however it
   * ends.
   */
  readonly dir: string
  /** The spool holds at most so many scores, the newest. */
  readonly capacity: number
  /** They take at most so many bytes of disk. */
  readonly bytesMax: number
  /** The size of one file: the spool drops the oldest file as a whole. */
  readonly segmentBytes: number
  readonly meter: Meter
  readonly logger: Logger
}

interface Segment {
  readonly file: FileHandle
  /** Number of its first entry. */
  readonly first: number
  bytes: number
}

/**
 * The newest scores as the log has them, on this machine's disk, with their identities in memory: a score of 3 KB costs
 * 60 bytes of memory, and a look-up costs one read of it. Every serve process feeds its own, in the order of the log.
 */
export class ScoreSpool {
  readonly #options: ScoreSpoolOptions
  readonly #index: IdentityIndex
  /** By slot: the number of its segment, counted from the first ever, its place in it, and its length. */
  readonly #segmentOf: Uint32Array
  readonly #position: Uint32Array
  readonly #length: Uint32Array
  readonly #segments: Segment[] = []
  readonly #metrics: { readonly entries: { set(value: number): void }; readonly bytes: { set(value: number): void } }
  #firstSegment = 0
  #bytes = 0
  #tail: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(options: ScoreSpoolOptions) {
    this.#options = options
    this.#index = new IdentityIndex(options.capacity)
    this.#segmentOf = new Uint32Array(options.capacity)
    this.#position = new Uint32Array(options.capacity)
    this.#length = new Uint32Array(options.capacity)
    this.#metrics = {
      entries: options.meter.gauge('riverbank_lookup_scores', 'Newest scores that are found without the lake'),
      bytes: options.meter.gauge('riverbank_lookup_bytes', 'Disk that they take'),
    }
  }

  /** Calls run one after the other. A failing disk ends only the spool: the lake has the same scores. */
  add(entries: readonly ScoreEntry[]): Promise<void> {
    this.#tail = this.#tail.then(async () => {
      if (this.#isOver || entries.length === 0) return
      try {
        await this.#write(entries)
      } catch (error) {
        this.#options.logger.error('the newest scores are not kept on disk any more', { error })
        this.#isOver = true
        await this.#clear()
      }
      this.#metrics.entries.set(this.#index.head - this.#index.tail)
      this.#metrics.bytes.set(this.#bytes)
    })
    return this.#tail
  }

  async find(identity: Identity): Promise<FoundScore | null> {
    const slot = this.#index.find(identity)
    const score = slot === null ? null : await this.#read(slot)
    return score?.eventId === identity.eventId && score.aggregateId === identity.aggregateId ? score : null
  }

  /** Scores of this event id, one for each aggregate, at most `max`. */
  async sharing(eventId: string, max: number): Promise<FoundScore[]> {
    const scores = await Promise.all(this.#index.sharing(eventId, max).map((slot) => this.#read(slot)))
    return scores.filter((score) => score?.eventId === eventId).filter((score) => score !== null)
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#tail
    await this.#clear()
  }

  async #write(entries: readonly ScoreEntry[]): Promise<void> {
    const segment = await this.#current()
    const chunk = Buffer.concat(entries.map(({ value }) => value))
    await segment.file.write(chunk, 0, chunk.length, segment.bytes)
    const number = this.#firstSegment + this.#segments.length - 1
    for (const { aggregateId, eventId, value } of entries) {
      // Copies of a score are the same bytes: the spool keeps the first.
      const slot = this.#index.add({ aggregateId, eventId })
      if (slot !== null) {
        this.#segmentOf[slot] = number
        this.#position[slot] = segment.bytes
        this.#length[slot] = value.length
      }
      segment.bytes += value.length
    }
    this.#bytes += chunk.length
    await this.#makeRoom()
  }

  async #current(): Promise<Segment> {
    const newest = this.#segments.at(-1)
    if (newest !== undefined && newest.bytes < this.#options.segmentBytes) return newest
    await mkdir(this.#options.dir, { recursive: true })
    const path = join(this.#options.dir, `scores-${randomUUID()}`)
    const file = await open(path, 'wx+')
    await rm(path)
    const segment = { file, first: this.#index.head, bytes: 0 }
    this.#segments.push(segment)
    return segment
  }

  /** Drops the segments beyond the limit, and those of which every entry is forgotten. */
  async #makeRoom(): Promise<void> {
    for (;;) {
      const [oldest, next] = this.#segments
      if (oldest === undefined || next === undefined) return
      if (this.#bytes <= this.#options.bytesMax && this.#index.tail < next.first) return
      while (this.#index.tail < next.first) this.#index.forgetOldest()
      this.#segments.shift()
      this.#firstSegment += 1
      this.#bytes -= oldest.bytes
      await oldest.file.close()
    }
  }

  /** Null when the entry was forgotten meanwhile or cannot be read: then the lake has it. */
  async #read(slot: number): Promise<FoundScore | null> {
    const segment = this.#segments[(this.#segmentOf[slot] ?? 0) - this.#firstSegment]
    const length = this.#length[slot] ?? 0
    const position = this.#position[slot] ?? 0
    if (segment === undefined) return null
    try {
      const bytes = Buffer.allocUnsafe(length)
      const { bytesRead } = await segment.file.read(bytes, 0, length, position)
      return bytesRead === length ? scoreIn(bytes) : null
    } catch (error) {
      this.#options.logger.debug('a score was not read from the spool', { error })
      return null
    }
  }

  async #clear(): Promise<void> {
    while (this.#index.tail < this.#index.head) this.#index.forgetOldest()
    const segments = this.#segments.splice(0)
    this.#firstSegment += segments.length
    this.#bytes = 0
    await Promise.allSettled(segments.map(({ file }) => file.close()))
  }
}
