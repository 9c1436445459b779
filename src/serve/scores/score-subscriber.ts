import { loopClock } from '../../clock/loop-clock.ts'
import type { Decision } from '../../scoring/output-events.ts'
import type { PartitionCursor } from './partition-cursor.ts'
import type { FrameFormat } from './score-frames.ts'
import type { ScoreEntry } from './score-entry.ts'
import type { ScoreRing } from './score-ring.ts'

/** Selects the scores of a subscriber; null: everything. */
export interface ScoreFilter {
  readonly decisions: ReadonlySet<Decision> | null
  readonly aggregateIds: ReadonlySet<string> | null
}

export interface SubscriberOptions {
  readonly ring: ScoreRing
  readonly filter: ScoreFilter
  readonly format: FrameFormat
  /** The place at which the client left off; null: only scores from now on. */
  readonly from: PartitionCursor | null
  /**
   * For each partition in which `from` lies beyond the log's end: that end, null for a partition that does not exist.
   */
  readonly beyond: ReadonlyMap<number, number | null>
  /** Scores that a client may be behind when it has taken nothing for `stallMs`. */
  readonly lagMax: number
  readonly stallMs: number
  readonly heartbeatMs: number
  readonly retryMs: number
  readonly chunkChars: number
}

type State = 'live' | 'overflow' | 'ended'

/**
 * One reader of the ring. It has no queue of its own: it pulls from its place in the ring when its client takes the
 * bytes, so a slow client costs one number. It cuts off a client that has stopped reading and is too far behind, and
 * any client whose next score the ring no longer holds.
 */
export class ScoreSubscriber {
  readonly #options: SubscriberOptions
  readonly #cursor: PartitionCursor
  #index: number
  #state: State = 'live'
  #opening: string
  #wake: (() => void) | null = null
  #readAtMs = loopClock.nowMs()

  constructor(options: SubscriberOptions) {
    const { ring, from, format, beyond } = options
    this.#options = options
    this.#opening = format.opening(options.retryMs)
    if (from === null) {
      this.#index = ring.head
      this.#cursor = ring.position()
    } else {
      this.#index = ring.tail
      this.#cursor = from.copy()
      // The client has seen nothing of a log created anew: everything that the ring holds of it follows.
      for (const partition of beyond.keys()) this.#cursor.reset(partition, ring.first(partition))
      const first = new Map(ring.missing(this.#cursor))
      for (const [partition, held] of first) this.#cursor.advance(partition, held)
      for (const partition of beyond.keys()) {
        const held = ring.first(partition)
        if (held !== null) first.set(partition, held)
      }
      if (first.size + beyond.size > 0) {
        // Everything that the ring holds of a partition that the client did not name follows; the frame says from
        // where.
        for (const [partition, held] of ring.held()) {
          if (this.#cursor.next(partition) === null) this.#cursor.advance(partition, held)
        }
        this.#opening += format.gap(this.#cursor.toString(), { first, beyond })
      }
    }
  }

  /**
   * The next text for the client; null at the end. Waits for scores or for the next heartbeat. Calls must not overlap.
   */
  async read(): Promise<string | null> {
    this.#readAtMs = loopClock.nowMs()
    const opening = this.#opening
    this.#opening = ''
    const text = opening + this.#collect()
    if (text !== '') return text
    return this.#later()
  }

  /** Called after the ring has grown: wakes a waiting reader; answers `overflow` (once) when it was cut off. */
  check(): State {
    if (this.#state !== 'live') return 'ended'
    const { ring, lagMax, stallMs } = this.#options
    const stalled = this.#wake === null && loopClock.nowMs() - this.#readAtMs >= stallMs
    if (this.#index < ring.tail || (stalled && ring.head - this.#index > lagMax)) this.#state = 'overflow'
    this.#wake?.()
    return this.#state
  }

  /** The client is gone, or the service stops: {@link read} answers null from now on. */
  end(): void {
    this.#state = 'ended'
    this.#wake?.()
  }

  /** Waits until there is something for this client, but not longer than to the next heartbeat. */
  async #later(): Promise<string | null> {
    const dueMs = performance.now() + this.#options.heartbeatMs
    const timer = setTimeout(() => this.#wake?.(), this.#options.heartbeatMs)
    try {
      for (;;) {
        if (this.#state === 'ended') return null
        // Timers may fire a moment early.
        if (performance.now() >= dueMs - 2) return this.#options.format.heartbeat(this.#cursor.toString())
        await new Promise<void>((resolve) => (this.#wake = resolve))
        this.#wake = null
        this.#readAtMs = loopClock.nowMs()
        const text = this.#collect()
        if (text !== '') return text
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #collect(): string {
    const { ring, filter, format, chunkChars } = this.#options
    if (this.#state === 'overflow') {
      this.#state = 'ended'
      return format.overflow(ring.head - this.#index)
    }
    let text = ''
    for (; this.#state === 'live' && text.length < chunkChars; this.#index += 1) {
      const entry = ring.at(this.#index)
      if (entry === undefined) break
      if (entry.offset < (this.#cursor.next(entry.partition) ?? 0)) continue
      this.#cursor.advance(entry.partition, entry.offset + 1)
      if (matches(filter, entry)) text += format.score(this.#cursor.toString(), entry.json)
    }
    return text
  }
}

/** An unreadable record matches nothing. */
function matches(filter: ScoreFilter, { decision, aggregateId }: ScoreEntry): boolean {
  if (decision === null || filter.decisions?.has(decision) === false) return false
  return filter.aggregateIds === null || filter.aggregateIds.has(aggregateId)
}
