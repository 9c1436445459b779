import { loopClock, type Deadline } from '../../clock/loop-clock.ts'
import type { LogBatch } from '../../ports/log.ts'
import type { Meter } from '../../ports/telemetry.ts'
import { keyOf, type Identity } from './identity-index.ts'
import type { PartitionCursor } from './partition-cursor.ts'
import type { FrameFormat } from './score-frames.ts'
import { inOwnMemory, readScore, ScoreEntry, type FoundScore, type ObservedEntry } from './score-entry.ts'
import { ScoreRing } from './score-ring.ts'
import type { RecentScores } from './score-tail.ts'
import { ScoreSubscriber, type ScoreFilter } from './score-subscriber.ts'

export interface ScoreHubOptions {
  /** Event types of scores. */
  readonly types: ReadonlySet<string>
  /** The hub holds at most so many scores in memory, the newest. */
  readonly capacity: number
  /** Those scores take at most so many bytes. */
  readonly bytesMax: number
  /** Scores that a subscriber may be behind when it has taken nothing for `stallMs`. */
  readonly lagMax: number
  readonly stallMs: number
  readonly subscribersMax: number
  /** Requests that may wait for a decision at the same time; a further one is answered without it. */
  readonly waitersMax: number
  readonly heartbeatMs: number
  /** The stream asks clients to wait so long before they reconnect. */
  readonly retryMs: number
  /**
   * A subscriber that was cut off has so long to take the bytes on their way (a chunk at most) and its last frame. Then
   * the hub closes its connection.
   */
  readonly overflowGraceMs: number
  /** The hub writes about so much to a client at once. */
  readonly chunkChars: number
  /** The offsets from which the tail feeds the hub, and from which its scores are new. */
  readonly recent: RecentScores
  /** Called for each event that was applied without a score. */
  readonly onObserved?: (observed: ObservedEntry) => void
  readonly meter: Meter
}

export const scoreHubLimits = {
  subscribersMax: 200,
  waitersMax: 1_000,
  /** A burst of batches in one turn of the event loop must not look like a slow client. */
  stallMs: 1_000,
  heartbeatMs: 15_000,
  retryMs: 2_000,
  /** One chunk in this time is 2 KB a second. */
  overflowGraceMs: 30_000,
  chunkChars: 65_536,
} as const

export interface ScoreSubscription {
  read(): Promise<string | null>
  /** Frees the subscriber's place. Safe to call twice. */
  close(): void
}

interface Waiter {
  readonly answer: (score: FoundScore) => void
}

/**
 * Hands scores from the log to streams, to requests that wait for a decision, and to reads of recent decisions. One
 * tail of the scores topic feeds it; everything it holds is bounded.
 */
export class ScoreHub {
  readonly #options: ScoreHubOptions
  readonly #ring: ScoreRing
  readonly #subscribers = new Map<ScoreSubscriber, () => void>()
  /** The deadlines of subscribers that were cut off: each holds its place until it has taken its last frame. */
  readonly #deadlines = new Map<ScoreSubscriber, Deadline>()
  readonly #waiters = new Map<string, Set<Waiter>>()
  readonly #metrics: HubMetrics
  #waiting = 0
  #closed = false

  constructor(options: ScoreHubOptions) {
    this.#options = options
    this.#ring = new ScoreRing(options, options.recent)
    this.#metrics = hubMetrics(options.meter)
    this.#metrics.subscribers.set(0)
  }

  /** Takes a batch of the scores topic. Never waits for a subscriber. Answers the new scores. */
  accept(batch: LogBatch): readonly ScoreEntry[] {
    const news: ScoreEntry[] = []
    for (const record of inOwnMemory(batch.records)) {
      const entry = readScore(record, this.#options.types)
      if (entry === null) continue
      if (entry === 'unreadable') this.#metrics.unreadable.add(1)
      else if (!(entry instanceof ScoreEntry)) this.#options.onObserved?.(entry)
      else if (this.#ring.push(entry)) {
        news.push(entry)
        this.#answer(entry)
      }
    }
    this.#ring.advance(batch.partition, batch.next)
    this.#metrics.recentBytes.set(this.#ring.bytes)
    for (const [subscriber, cutOff] of this.#subscribers) {
      if (subscriber.check() === 'overflow') this.#overflow(subscriber, cutOff)
    }
    return news
  }

  find(identity: Identity): FoundScore | null {
    return this.#ring.find(identity)?.score ?? null
  }

  /** Scores of this event id, one for each aggregate, at most `max`. */
  sharing(eventId: string, max: number): FoundScore[] {
    const entries = [...this.#ring.sharing(eventId)].slice(-max)
    return entries.map(({ score }) => score).filter((score) => score !== null)
  }

  /** Resolves with the score of this event as soon as the hub has it; with null once the signal is aborted. */
  waitFor(identity: Identity, signal: AbortSignal): Promise<FoundScore | null> {
    const known = this.find(identity)
    const key = keyOf(identity)
    if (known !== null) return Promise.resolve(known)
    if (signal.aborted || this.#closed) return Promise.resolve(null)
    if (this.#waiting >= this.#options.waitersMax) {
      this.#metrics.waitsRefused.add(1)
      return Promise.resolve(null)
    }
    return new Promise((resolve) => {
      const settle = (score: FoundScore | null) => {
        signal.removeEventListener('abort', onAbort)
        this.#removeWaiter(key, waiter)
        resolve(score)
      }
      const onAbort = () => settle(null)
      const waiter: Waiter = { answer: settle }
      const waiters = this.#waiters.get(key) ?? new Set()
      this.#waiters.set(key, waiters.add(waiter))
      this.#waiting += 1
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /**
   * A new reader from `from` on, or from now on when it is null; null when all places are taken or the hub is closed.
   * `beyond`: the partitions in which `from` lies beyond the log's end (see {@link unheardOf}). `cutOff` closes the
   * connection of a client that was too slow and does not even take its last frame.
   */
  subscribe(
    filter: ScoreFilter,
    from: PartitionCursor | null,
    format: FrameFormat,
    cutOff: () => void,
    beyond: ReadonlyMap<number, number | null> = new Map(),
  ): ScoreSubscription | null {
    if (this.#closed || this.#subscribers.size >= this.#options.subscribersMax) return null
    const subscriber = new ScoreSubscriber({ ...this.#options, ring: this.#ring, filter, format, from, beyond })
    this.#subscribers.set(subscriber, cutOff)
    this.#metrics.subscribers.set(this.#subscribers.size)
    return {
      read: () => subscriber.read(),
      close: () => this.#remove(subscriber),
    }
  }

  /** Partitions in which the tail has not reached `from`: only the log knows whether that offset exists. */
  unheardOf(from: PartitionCursor): number[] {
    return this.#ring.unheardOf(from)
  }

  get subscribers(): number {
    return this.#subscribers.size
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Ends every stream; requests that wait end at their own time limit. */
  close(): void {
    this.#closed = true
    for (const subscriber of this.#subscribers.keys()) this.#remove(subscriber)
  }

  #answer(entry: ScoreEntry): void {
    if (this.#waiters.size === 0) return
    const waiters = this.#waiters.get(keyOf(entry))
    if (waiters === undefined) return
    const { score } = entry
    if (score === null) return
    for (const waiter of waiters) waiter.answer(score)
  }

  #removeWaiter(key: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(key)
    if (waiters?.delete(waiter) !== true) return
    this.#waiting -= 1
    if (waiters.size === 0) this.#waiters.delete(key)
  }

  #overflow(subscriber: ScoreSubscriber, cutOff: () => void): void {
    this.#metrics.overflows.add(1)
    const late = () => {
      cutOff()
      this.#remove(subscriber)
    }
    this.#deadlines.set(subscriber, loopClock.after(this.#options.overflowGraceMs, late))
  }

  #remove(subscriber: ScoreSubscriber): void {
    subscriber.end()
    this.#deadlines.get(subscriber)?.cancel()
    this.#deadlines.delete(subscriber)
    if (this.#subscribers.delete(subscriber)) this.#metrics.subscribers.set(this.#subscribers.size)
  }
}

type HubMetrics = ReturnType<typeof hubMetrics>

function hubMetrics(meter: Meter) {
  return {
    subscribers: meter.gauge('riverbank_stream_subscribers', 'Open streams of scores'),
    recentBytes: meter.gauge('riverbank_serve_recent_scores_bytes', 'Memory of the newest scores that are held'),
    overflows: meter.counter('riverbank_stream_overflows_total', 'Subscribers cut off because they were too slow'),
    waitsRefused: meter.counter('riverbank_waits_refused_total', 'Waits for a decision that found no free place'),
    unreadable: meter.counter('riverbank_stream_unreadable_total', 'Records of the scores topic that are no scores'),
  }
}
