import { schemaOf } from '../../src/core/event.ts'
import type { OutgoingRecord } from '../../src/ports.ts'

export interface Sent {
  readonly record: OutgoingRecord
  readonly kind: 'payment' | 'label' | 'duplicate' | 'invalid'
  /** Null for what is no event. */
  readonly eventId: string | null
}

/** Few enough that processors meet at the same terminals all the time. */
const customers = 40
const terminals = 6
/** Of the newest records, one is sent again now and then: well within the deduplication horizon. */
const recentMax = 200

/** mulberry32: numbers in [0, 1) from a seed. */
export function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Endless seeded traffic: payments, labels of earlier ones, records sent again, and what is no event. */
export class Traffic {
  readonly #topic: string
  readonly #random: () => number
  readonly #recent: Sent[] = []
  #number = 0

  constructor(topic: string, seed: number) {
    this.#topic = topic
    this.#random = randomFrom(seed)
  }

  take(count: number): Sent[] {
    return Array.from({ length: count }, () => this.#next())
  }

  /** One payment of each of so many customers: every partition gets some. */
  takePayments(count: number): Sent[] {
    return Array.from({ length: count }, (_, n) => this.#remember(this.#payment(`c${n % customers}`)))
  }

  /** Earlier records once more, byte for byte. */
  again(count: number): Sent[] {
    return Array.from({ length: Math.min(count, this.#recent.length) }, (_, n) => this.#copy(n))
  }

  #next(): Sent {
    const dice = this.#random()
    const customerId = `c${this.#below(customers)}`
    if (dice < 0.8) return this.#remember(this.#payment(customerId))
    if (dice < 0.9) return this.#remember(this.#label(customerId))
    if (dice < 0.95 && this.#recent.length > 0) return this.#copy(this.#below(this.#recent.length))
    return { kind: 'invalid', eventId: null, record: { topic: this.#topic, key: customerId, value: `{"id":${dice}` } }
  }

  #payment(customerId: string): Sent {
    return this.#event('payment', 'payment.initiated', 2, customerId, { ...this.#spent() })
  }

  #label(customerId: string): Sent {
    const data = { ...this.#spent(), paymentId: `p${this.#number}`, paymentTimeMs: Date.now() - 3_600_000 }
    return this.#event('label', 'fraud.reported', 1, customerId, { ...data, kind: 'chargeback' })
  }

  #spent() {
    return { terminalId: `t${this.#below(terminals)}`, amountMinor: 1 + this.#below(50_000), currency: 'EUR' }
  }

  #event(kind: 'payment' | 'label', type: string, version: number, customerId: string, data: object): Sent {
    this.#number += 1
    const eventId = `p${this.#number}`
    const envelope = {
      specversion: '1.0',
      id: eventId,
      type,
      source: 'urn:riverbank:chaos',
      subject: customerId,
      time: new Date().toISOString(),
      dataschema: schemaOf(type, version),
      data: { customerId, ...data },
    }
    return { kind, eventId, record: { topic: this.#topic, key: customerId, value: JSON.stringify(envelope) } }
  }

  #copy(place: number): Sent {
    const { record, eventId } = this.#recent[place % this.#recent.length] ?? this.#payment('c0')
    return { kind: 'duplicate', record, eventId }
  }

  #remember(sent: Sent): Sent {
    this.#recent.push(sent)
    if (this.#recent.length > recentMax) this.#recent.shift()
    return sent
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count)
  }
}
