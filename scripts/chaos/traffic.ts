import { schemaOf } from '../../src/events/event.ts'
import type { OutgoingRecord } from '../../src/ports/log.ts'

export interface Sent {
  readonly record: OutgoingRecord
  readonly kind: 'payment' | 'label' | 'duplicate' | 'invalid'
  /** Null for a record that is no event. */
  readonly eventId: string | null
}

/** Few enough that processors update the same terminals all the time. */
const customers = 40
const terminals = 6
/** Sends one of the newest so many records again now and then: well within the deduplication horizon. */
const recentMax = 200

interface Paid {
  readonly customerId: string
  readonly terminalId: string
  readonly amountMinor: number
  readonly currency: string
  readonly paymentId: string
  readonly paymentTimeMs: number
}

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

/**
 * Endless seeded traffic: payments, labels of earlier ones (again, taken back, of another terminal, before their
 * payment), records sent again, and records that are no events.
 */
export class Traffic {
  readonly #topic: string
  readonly #random: () => number
  readonly #recent: Sent[] = []
  readonly #paid: Paid[] = []
  #number = 0

  constructor(topic: string, seed: number) {
    this.#topic = topic
    this.#random = randomFrom(seed)
  }

  take(count: number): Sent[] {
    return Array.from({ length: count }, () => this.#next())
  }

  /** Makes one payment of each of so many customers: every partition gets some. */
  takePayments(count: number): Sent[] {
    return Array.from({ length: count }, (_, n) => this.#remember(this.#payment(`c${n % customers}`)))
  }

  /** Repeats earlier records, byte for byte. */
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
    const [spent, timeMs] = [this.#spent(), Date.now()]
    const sent = this.#event('payment', 'payment.initiated', { customerId, ...spent }, timeMs)
    this.#paid.push({ customerId, ...spent, paymentId: `p${this.#number}`, paymentTimeMs: timeMs })
    if (this.#paid.length > recentMax) this.#paid.shift()
    return sent
  }

  #label(customerId: string): Sent {
    const paid = this.#paid[this.#below(Math.min(20, this.#paid.length))]
    const dice = this.#random()
    const next = { customerId, ...this.#spent(), paymentId: `p${this.#number + 2}`, paymentTimeMs: Date.now() }
    const right = paid === undefined || dice < 0.1 ? next : paid
    const data = dice > 0.9 ? { ...right, amountMinor: right.amountMinor + 1 } : right
    const [type, kind] = this.#random() < 0.3 ? ['fraud.withdrawn', 'chargeback_won'] : ['fraud.reported', 'chargeback']
    return this.#event('label', type, { ...data, kind }, Date.now())
  }

  #spent() {
    return { terminalId: `t${this.#below(terminals)}`, amountMinor: 1 + this.#below(50_000), currency: 'EUR' }
  }

  #event(
    kind: 'payment' | 'label',
    type: string,
    data: { readonly customerId: string; readonly [field: string]: unknown },
    timeMs: number,
  ): Sent {
    this.#number += 1
    const eventId = `p${this.#number}`
    const envelope = {
      specversion: '1.0',
      id: eventId,
      type,
      source: 'urn:riverbank:chaos',
      subject: data.customerId,
      time: new Date(timeMs).toISOString(),
      dataschema: schemaOf(type, kind === 'payment' ? 2 : 1),
      data,
    }
    return {
      kind,
      eventId,
      record: { topic: this.#topic, key: data.customerId, value: JSON.stringify(envelope) },
    }
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
