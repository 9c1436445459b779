import { keyOf, type Identity } from './identity-index.ts'
import { PartitionCursor } from './partition-cursor.ts'
import type { ScoreEntry } from './score-entry.ts'
import type { RecentScores } from './score-tail.ts'
import { assert } from '../../base/errors.ts'

export interface RingLimits {
  /** The ring holds at most so many scores. */
  readonly capacity: number
  /** They take at most so many bytes; the ring holds the newest score whatever its size. */
  readonly bytesMax: number
}

/**
 * The newest scores, in the order in which this process saw them. Entries have growing indexes; the ring holds those
 * from `tail` up to, without, `head`. It leaves out a copy of a score that it holds: copies are byte-identical.
 */
export class ScoreRing {
  readonly #limits: RingLimits
  /** By index, modulo the capacity. */
  readonly #entries: (ScoreEntry | undefined)[] = []
  readonly #byIdentity = new Map<string, ScoreEntry>()
  /** A set only for an event id that several aggregates use: there are few. */
  readonly #byId = new Map<string, ScoreEntry | Set<ScoreEntry>>()
  /** The next offset to see of each partition. */
  readonly #seen: PartitionCursor
  /** The ring holds everything from here on. */
  readonly #held: PartitionCursor
  #tail = 0
  #head = 0
  #bytes = 0
  readonly #live: ReadonlyMap<number, number>

  constructor(limits: RingLimits, recent: RecentScores) {
    this.#limits = limits
    this.#seen = PartitionCursor.from(recent.from)
    this.#held = PartitionCursor.from(recent.from)
    this.#live = recent.live
  }

  get head(): number {
    return this.#head
  }

  get tail(): number {
    return this.#tail
  }

  /** The memory of the held scores. */
  get bytes(): number {
    return this.#bytes
  }

  /** `undefined` for an index that the ring no longer, or not yet, holds. */
  at(index: number): ScoreEntry | undefined {
    return index < this.#tail || index >= this.#head ? undefined : this.#entries[index % this.#limits.capacity]
  }

  find(identity: Identity): ScoreEntry | null {
    return this.#byIdentity.get(keyOf(identity)) ?? null
  }

  /** Scores of this event id, one for each aggregate; the newest last. */
  sharing(eventId: string): Iterable<ScoreEntry> {
    const found = this.#byId.get(eventId)
    return found instanceof Set ? found : found === undefined ? [] : [found]
  }

  /** The position of a reader that has seen everything until now, also what this process has yet to read again. */
  position(): PartitionCursor {
    const position = this.#seen.copy()
    for (const [partition, next] of this.#live) position.advance(partition, next)
    return position
  }

  /** Adds an entry; true when it is new, not history. */
  push(entry: ScoreEntry): boolean {
    if (entry.offset < (this.#seen.next(entry.partition) ?? 0)) return false
    if (this.#held.next(entry.partition) === null) this.#held.advance(entry.partition, entry.offset)
    this.#seen.advance(entry.partition, entry.offset + 1)
    const held = this.find(entry)
    if (held?.id === entry.id) return false
    if (held !== null) this.#unlist(held)
    this.#makeRoom(entry.bytes)
    this.#entries[this.#head % this.#limits.capacity] = entry
    this.#list(entry)
    this.#bytes += entry.bytes
    this.#head += 1
    return true
  }

  /** Drops the oldest until one more fits. */
  #makeRoom(bytes: number): void {
    const { capacity, bytesMax } = this.#limits
    while (this.#head > this.#tail && (this.#head - this.#tail === capacity || this.#bytes + bytes > bytesMax)) {
      const place = this.#tail % capacity
      const evicted = this.#entries[place]
      assert(evicted !== undefined, 'what is held is there')
      this.#held.advance(evicted.partition, evicted.offset + 1)
      this.#unlist(evicted)
      this.#entries[place] = undefined
      this.#bytes -= evicted.bytes
      this.#tail += 1
    }
  }

  #list(entry: ScoreEntry): void {
    this.#byIdentity.set(keyOf(entry), entry)
    const same = this.#byId.get(entry.eventId)
    if (same === undefined) this.#byId.set(entry.eventId, entry)
    else if (same instanceof Set) same.add(entry)
    else this.#byId.set(entry.eventId, new Set([same, entry]))
  }

  #unlist(entry: ScoreEntry): void {
    const key = keyOf(entry)
    if (this.#byIdentity.get(key) === entry) this.#byIdentity.delete(key)
    const same = this.#byId.get(entry.eventId)
    if (same === entry || (same instanceof Set && same.delete(entry) && same.size === 0)) {
      this.#byId.delete(entry.eventId)
    }
  }

  /** This process has seen everything of the partition below `next`, scores or not. */
  advance(partition: number, next: number): void {
    if (this.#held.next(partition) === null) this.#held.advance(partition, next)
    this.#seen.advance(partition, next)
  }

  /** Partitions in which the tail has not reached `from`. */
  unheardOf(from: PartitionCursor): number[] {
    const here = this.position()
    const unheardOf = [...from.positions()].filter(([partition, next]) => next > (here.next(partition) ?? -1))
    return unheardOf.map(([partition]) => partition)
  }

  /** The first held offset, by partition. */
  held(): ReadonlyMap<number, number> {
    return new Map(this.#held.positions())
  }

  /** The first held offset of the partition; null when there is no such partition. */
  first(partition: number): number | null {
    return this.#held.next(partition)
  }

  /** The first held offset by partition, where a reader at `from` would miss something; empty when it would not. */
  missing(from: PartitionCursor): ReadonlyMap<number, number> {
    const missingHistory = new Map<number, number>()
    for (const [partition, next] of from.positions()) {
      const held = this.#held.next(partition)
      if (held !== null && next < held) missingHistory.set(partition, held)
    }
    return missingHistory
  }
}
