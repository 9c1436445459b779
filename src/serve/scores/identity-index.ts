import { randomInt } from 'node:crypto'
import { hashText, type EventIdHash } from '../../events/event-id-hash.ts'

/** An event id within its aggregate: two aggregates may use one event id. */
export interface Identity {
  readonly aggregateId: string
  readonly eventId: string
}

/** An identity as one text: no id holds a control character. */
export function keyOf({ aggregateId, eventId }: Identity): string {
  return `${aggregateId}\n${eventId}`
}

/**
 * The newest identities, found by both parts or by the event id alone. It keeps 64 bits of each instead of its text:
 * about 40 bytes an entry. Two identities may share their bits, so a caller compares what it finds with the record.
 * Each process seeds the hashes at random: a client cannot choose ids that collide.
 *
 * An entry has a slot below the capacity, under which the owner stores its data. A full index forgets the oldest.
 */
export class IdentityIndex {
  readonly capacity: number
  readonly #seeds: EventIdHash = { high: randomInt(2 ** 32), low: randomInt(2 ** 32) }
  readonly #keyHigh: Uint32Array
  readonly #keyLow: Uint32Array
  readonly #idHigh: Uint32Array
  readonly #idLow: Uint32Array
  /** Number of the entry before this one that has the same event id; below {@link tail} it is forgotten, -1: none. */
  readonly #before: Float64Array
  readonly #byKey: HashTable
  readonly #byId: HashTable
  #tail = 0
  #head = 0

  constructor(capacity: number) {
    this.capacity = capacity
    this.#keyHigh = new Uint32Array(capacity)
    this.#keyLow = new Uint32Array(capacity)
    this.#idHigh = new Uint32Array(capacity)
    this.#idLow = new Uint32Array(capacity)
    this.#before = new Float64Array(capacity)
    this.#byKey = new HashTable(capacity, this.#keyHigh, this.#keyLow)
    this.#byId = new HashTable(capacity, this.#idHigh, this.#idLow)
  }

  /** Number of the oldest entry. Entries are numbered as they come; entry n has slot n % capacity. */
  get tail(): number {
    return this.#tail
  }

  /** Number that the next entry gets. */
  get head(): number {
    return this.#head
  }

  /** Adds an entry and answers its slot, or null if the identity has one: see {@link find}. */
  add(identity: Identity): number | null {
    const key = this.#keyOf(identity)
    if (this.#byKey.find(key) !== null) return null
    if (this.#head - this.#tail === this.capacity) this.forgetOldest()
    const id = this.#idOf(identity.eventId)
    const slot = this.#head % this.capacity
    this.#keyHigh[slot] = key.high
    this.#keyLow[slot] = key.low
    this.#idHigh[slot] = id.high
    this.#idLow[slot] = id.low
    this.#byKey.insert(key, slot)
    const same = this.#byId.replace(id, slot)
    this.#before[slot] = same === null ? -1 : this.#numberOf(same)
    this.#head += 1
    return slot
  }

  find(identity: Identity): number | null {
    return this.#byKey.find(this.#keyOf(identity))
  }

  /** Slots of the entries with this event id, the newest first, at most `max`. */
  sharing(eventId: string, max: number): number[] {
    const slots: number[] = []
    const newest = this.#byId.find(this.#idOf(eventId))
    for (let n = newest === null ? -1 : this.#numberOf(newest); n >= this.#tail && slots.length < max;) {
      slots.push(n % this.capacity)
      n = this.#before[n % this.capacity] ?? -1
    }
    return slots
  }

  forgetOldest(): void {
    const slot = this.#tail % this.capacity
    this.#byKey.remove({ high: this.#keyHigh[slot] ?? 0, low: this.#keyLow[slot] ?? 0 }, slot)
    // The table holds the newest entry of an event id; the others link to older ones, and see that those are gone.
    this.#byId.remove({ high: this.#idHigh[slot] ?? 0, low: this.#idLow[slot] ?? 0 }, slot)
    this.#tail += 1
  }

  /** The number of the entry in a slot. */
  #numberOf(slot: number): number {
    const round = this.#head - (this.#head % this.capacity)
    return slot < this.#head % this.capacity ? round + slot : round + slot - this.capacity
  }

  #keyOf({ aggregateId, eventId }: Identity): EventIdHash {
    // No separator is needed: the hash mixes the length of the event id last.
    return hashText(eventId, hashText(aggregateId, this.#seeds))
  }

  #idOf(eventId: string): EventIdHash {
    return hashText(eventId, this.#seeds)
  }
}

/** Slots by their hash: open addressing, at most half full. */
class HashTable {
  readonly #high: Uint32Array
  readonly #low: Uint32Array
  /** Slot + 1; 0: free. */
  readonly #cells: Int32Array
  readonly #mask: number

  constructor(capacity: number, high: Uint32Array, low: Uint32Array) {
    this.#high = high
    this.#low = low
    this.#cells = new Int32Array(2 ** Math.ceil(Math.log2(2 * capacity + 1)))
    this.#mask = this.#cells.length - 1
  }

  find(hash: EventIdHash): number | null {
    const found = this.#cells[this.#cellOf(hash)] ?? 0
    return found === 0 ? null : found - 1
  }

  insert(hash: EventIdHash, slot: number): void {
    this.#cells[this.#cellOf(hash)] = slot + 1
  }

  /** Replaces the slot with this hash, and answers the old one. */
  replace(hash: EventIdHash, slot: number): number | null {
    const cell = this.#cellOf(hash)
    const found = this.#cells[cell] ?? 0
    this.#cells[cell] = slot + 1
    return found === 0 ? null : found - 1
  }

  /** Removes the slot if its hash has it; the cells behind it move up, so that no search ends too early. */
  remove(hash: EventIdHash, slot: number): void {
    const mask = this.#mask
    let free = this.#cellOf(hash)
    if (this.#cells[free] !== slot + 1) return
    for (let next = (free + 1) & mask; ; next = (next + 1) & mask) {
      const moving = this.#cells[next] ?? 0
      if (moving === 0) break
      const home = (this.#low[moving - 1] ?? 0) & mask
      if (((next - home) & mask) < ((next - free) & mask)) continue
      this.#cells[free] = moving
      free = next
    }
    this.#cells[free] = 0
  }

  /** The cell of the hash, or the free one where it would be. */
  #cellOf({ high, low }: EventIdHash): number {
    for (let cell = low & this.#mask; ; cell = (cell + 1) & this.#mask) {
      const found = this.#cells[cell] ?? 0
      if (found === 0 || (this.#low[found - 1] === low && this.#high[found - 1] === high)) return cell
    }
  }
}
