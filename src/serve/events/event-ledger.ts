import { crc32 } from '@node-rs/crc32'
import { IdentityIndex, keyOf, type Identity } from '../scores/identity-index.ts'
import { loopClock } from '../../clock/loop-clock.ts'
import type { DomainEvent, EventCatalog } from '../../events/event.ts'
import { readRecordEvent } from '../../events/codec/record-event.ts'
import type { LogBatch, LogRecord, Position } from '../../ports/log.ts'

/** An event's type, time and parsed data, hashed to 32 bits. Its sender and its spelling do not count. */
export type EventContent = number

/** The first event of its identity, as the log has it. */
export interface LedgerEntry extends Position {
  readonly content: EventContent
  readonly aggregateId: string
  /** Events of its type get a score. */
  readonly isScored: boolean
  /** The processor applied it and published no score. */
  readonly isUnscored: boolean
  /** A label that counts nowhere: its aggregate does not remember its id, and accepts it again. */
  readonly isUncounted: boolean
}

/** The processor's outcome of an event that has no score. */
export interface Settled extends Identity {
  /** The position of a label that counts nowhere; null for an applied event. */
  readonly uncountedAt: Position | null
}

export interface EventLedgerOptions {
  readonly catalog: EventCatalog
  readonly scoredTypes: ReadonlySet<string>
  /** The ledger holds at most so many events, the newest: about 106 bytes each. */
  readonly capacity: number
  /**
   * The log's end at the start, by partition: until the tail is there, the log may hold events that are unknown here.
   */
  readonly live: ReadonlyMap<number, number>
}

/** Two events of one identity have equal content if they state one fact. Unknown keys of the data do not count. */
export function contentOf({
  eventType,
  timestamp,
  data,
}: Pick<DomainEvent, 'eventType' | 'timestamp' | 'data'>): EventContent {
  return crc32(`${eventType}\n${timestamp}\n${JSON.stringify(data)}`)
}

/** Outcomes that came before their event was read: those of one moment, or of events older than the ledger. */
const earlyMax = 10_000
const flag = { scored: 1, unscored: 2, uncounted: 4 } as const

/**
 * The newest events of the log by their identity, whether they came over HTTP or not, through this process or another.
 * So the API recognizes a repeat before a processor has applied the first event, and distinguishes a pending event from
 * one that was never sent. A tail of the events topic feeds it; it judges events as the processor does.
 */
export class EventLedger {
  readonly #options: EventLedgerOptions
  readonly #index: IdentityIndex
  readonly #partition: Uint16Array
  readonly #offset: Float64Array
  readonly #flags: Uint8Array
  readonly #content: Uint32Array
  readonly #aggregateIds: string[] = []
  /** By partition: this process has read every record below this offset. */
  readonly #seen = new Map<number, number>()
  readonly #early = new Map<string, Settled>()
  #waiting = new Set<() => void>()

  constructor(options: EventLedgerOptions) {
    this.#options = options
    this.#index = new IdentityIndex(options.capacity)
    this.#partition = new Uint16Array(options.capacity)
    this.#offset = new Float64Array(options.capacity)
    this.#flags = new Uint8Array(options.capacity)
    this.#content = new Uint32Array(options.capacity)
  }

  accept(batch: LogBatch): void {
    for (const record of batch.records) this.#take(record)
    this.#seen.set(batch.partition, Math.max(batch.next, this.#seen.get(batch.partition) ?? 0))
    const waiting = this.#waiting
    if (waiting.size === 0) return
    this.#waiting = new Set()
    for (const wake of waiting) wake()
  }

  /** Notes the outcome of an event without a score. */
  settle(settled: Settled): void {
    const slot = this.#index.find(settled)
    if (slot !== null) this.#note(slot, settled)
    else this.#early.set(keyOf(settled), settled)
    // Two tails read the two topics side by side: a few outcomes come before their event.
    const [oldest] = this.#early.keys()
    if (this.#early.size > earlyMax && oldest !== undefined) this.#early.delete(oldest)
  }

  find(identity: Identity): LedgerEntry | null {
    const slot = this.#index.find(identity)
    const entry = slot === null ? null : this.#entryAt(slot)
    return entry?.aggregateId === identity.aggregateId ? entry : null
  }

  /** Entries of this event id, at most `max`, the newest first. */
  sharing(eventId: string, max: number): LedgerEntry[] {
    return this.#index.sharing(eventId, max).map((slot) => this.#entryAt(slot))
  }

  /** Whether the tail has come to where the log ended when this process began. */
  get isCaughtUp(): boolean {
    for (const [partition, end] of this.#options.live) if ((this.#seen.get(partition) ?? 0) < end) return false
    return true
  }

  /** Resolves with true when this process has read the record, with false after `limitMs`. */
  async hasSeen({ partition, offset }: Position, limitMs: number): Promise<boolean> {
    const isSeen = () => (this.#seen.get(partition) ?? 0) > offset
    if (isSeen()) return true
    const late = new AbortController()
    const limit = loopClock.after(limitMs, () => late.abort())
    try {
      while (!isSeen() && !late.signal.aborted) {
        await new Promise<void>((resolve) => {
          this.#waiting.add(resolve)
          late.signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
      return isSeen()
    } finally {
      limit.cancel()
    }
  }

  #take(record: LogRecord): void {
    const { catalog, scoredTypes } = this.#options
    if (record.fault !== undefined) return
    const result = readRecordEvent(record, catalog)
    if (result.kind === 'invalid') return
    const { eventId, aggregateId, eventType } = result.event
    const slot = this.#slotFor({ aggregateId, eventId })
    if (slot === null) return
    this.#partition[slot] = record.partition
    this.#offset[slot] = record.offset
    this.#flags[slot] = scoredTypes.has(eventType) ? flag.scored : 0
    this.#content[slot] = contentOf(result.event)
    this.#aggregateIds[slot] = ownText(aggregateId)
    if (this.#early.size > 0) this.#noteEarly(slot, keyOf({ aggregateId, eventId }))
  }

  /**
   * The first event of an identity stays: its aggregate has one partition, read in order. A label that counts nowhere
   * goes.
   */
  #slotFor(identity: Identity): number | null {
    const added = this.#index.add(identity)
    if (added !== null) return added
    const slot = this.#index.find(identity)
    return slot !== null && this.#entryAt(slot).isUncounted ? slot : null
  }

  #noteEarly(slot: number, key: string): void {
    const early = this.#early.get(key)
    if (early !== undefined) this.#note(slot, early)
    this.#early.delete(key)
  }

  #note(slot: number, { uncountedAt }: Settled): void {
    const flags = this.#flags[slot] ?? 0
    if (uncountedAt === null) this.#flags[slot] = flags | flag.unscored
    // A later record of the same id may have taken the slot.
    else if (uncountedAt.partition === this.#partition[slot] && uncountedAt.offset === this.#offset[slot]) {
      this.#flags[slot] = flags | flag.uncounted
    }
  }

  #entryAt(slot: number): LedgerEntry {
    const flags = this.#flags[slot] ?? 0
    return {
      partition: this.#partition[slot] ?? 0,
      offset: this.#offset[slot] ?? 0,
      content: this.#content[slot] ?? 0,
      aggregateId: this.#aggregateIds[slot] ?? '',
      isScored: (flags & flag.scored) !== 0,
      isUnscored: (flags & flag.unscored) !== 0,
      isUncounted: (flags & flag.uncounted) !== 0,
    }
  }
}

/** Not a view into the text of the whole record. */
function ownText(text: string): string {
  return Buffer.from(text).toString()
}
