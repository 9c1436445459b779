import { schemaOf } from '../../../src/events/event.ts'
import type { OutgoingRecord } from '../../../src/ports/log.ts'
import { historyHeaders } from '../../support/history.ts'
import { seeded, type Random } from '../../../scripts/fuzz/definitions.ts'

const startMs = Date.UTC(2026, 2, 1)

export interface TrafficOptions {
  readonly topic: string
  readonly seed: number
  readonly events: number
  readonly customers: number
  readonly terminals: number
  /** The first event's number: so that more traffic has other ids. */
  readonly from?: number
}

/** What a record of the traffic is, as its maker meant it. */
export interface Sent {
  readonly record: OutgoingRecord
  readonly kind: 'payment' | 'label' | 'profile' | 'duplicate' | 'invalid'
  /** Of a dead letter: why. */
  readonly code?: string
  readonly eventId?: string
}

interface Labelled {
  readonly paymentId: string
  readonly customerId: string
  readonly terminalId: string
  readonly amountMinor: number
  readonly paymentTimeMs: number
}

/**
 * Of one of the last payments mostly, so that some are labelled again; of another terminal, or of no payment at all.
 */
function labelOf(
  random: Random,
  payments: readonly Labelled[],
  strange: Omit<Labelled, 'paymentId'>,
  number: number,
): Labelled {
  if (payments.length === 0 || random.chance(0.15)) return { paymentId: `e${number + 1}`, ...strange }
  const payment = random.pick(payments.slice(-4))
  return random.chance(0.15) ? { ...payment, terminalId: strange.terminalId } : payment
}

/** Payments mostly, with labels, profiles, late ones, copies of earlier ones, and what is no event at all. */
export function traffic(options: TrafficOptions): Sent[] {
  const { topic, seed, events, customers, terminals, from = 0 } = options
  const random = seeded(seed)
  const sent: Sent[] = []
  const payments: Labelled[] = []
  const cloud = (type: string, version: number, id: string, customerId: string, timeMs: number, data: object) =>
    JSON.stringify({
      specversion: '1.0',
      id,
      type,
      source: 'urn:test',
      subject: customerId,
      time: new Date(timeMs).toISOString(),
      dataschema: schemaOf(type, version),
      ...(random.chance(0.5) ? { correlationid: `story-${id}` } : {}),
      data: { customerId, ...data },
    })
  for (let n = from; n < from + events; n += 1) {
    const customerId = `c${random.below(customers)}`
    const terminalId = `t${random.below(terminals)}`
    const nowMs = startMs + n * 40_000 - (random.chance(0.1) ? random.below(50 * 86_400_000) : 0)
    const id = `e${n}`
    const headers = {
      // A real log takes it now.
      ...historyHeaders,
      ...(random.chance(0.5) ? { traceparent: `00-${String(n + 1).padStart(32, '0')}-00f067aa0ba902b7-01` } : {}),
    }
    const spent = { terminalId, amountMinor: random.below(50_000) }
    const dice = random.below(100)
    const keyed = (value: string | Uint8Array): OutgoingRecord => ({ topic, key: customerId, value, headers })
    // A label that counts nowhere may come again.
    const earlier = sent.filter(({ kind }) => kind === 'payment' || kind === 'profile')
    if (dice < 70) {
      // Both versions that a payment ever had.
      const [version, data] = random.chance(0.2) ? [1, spent] : [2, { ...spent, currency: 'EUR' }]
      const value = cloud('payment.initiated', version, id, customerId, nowMs, data)
      sent.push({ kind: 'payment', eventId: id, record: keyed(value) })
      payments.push({ paymentId: id, customerId, ...spent, paymentTimeMs: nowMs })
    } else if (dice < 80) {
      const label = labelOf(random, payments, { customerId, ...spent, paymentTimeMs: nowMs - 3_600_000 }, n)
      const [type, kind] = random.chance(0.25)
        ? (['fraud.withdrawn', 'chargeback_won'] as const)
        : (['fraud.reported', 'chargeback'] as const)
      const value = cloud(type, 1, id, label.customerId, nowMs, { ...label, currency: 'EUR', kind })
      sent.push({ kind: 'label', eventId: id, record: { topic, key: label.customerId, value, headers } })
    } else if (dice < 85) {
      const data = { homeCountry: 'DE', segment: 'private', customerSinceMs: 0 }
      const value = cloud('customer.profile_changed', 1, id, customerId, nowMs, data)
      sent.push({ kind: 'profile', eventId: id, record: keyed(value) })
    } else if (dice < 92 && earlier.length > 0) {
      const copy = random.pick(earlier)
      sent.push({
        kind: 'duplicate',
        code: 'duplicate_event',
        record: copy.record,
        ...(copy.eventId === undefined ? {} : { eventId: copy.eventId }),
      })
    } else {
      const broken: readonly [string, string | Uint8Array][] = [
        ['undecodable_bytes', Uint8Array.of(0x7b, 0xff, 0x00, n & 255)],
        ['invalid_json', `{"id":"${id}"`],
        [
          'invalid_amount',
          cloud('payment.initiated', 2, id, customerId, nowMs, { ...spent, amountMinor: -1, currency: 'EUR' }),
        ],
        [
          'event_in_future',
          cloud('payment.initiated', 2, id, customerId, Date.UTC(2099, 0), { ...spent, currency: 'EUR' }),
        ],
        [
          'event_too_old',
          cloud('payment.initiated', 2, id, customerId, Date.UTC(2000, 0), { ...spent, currency: 'EUR' }),
        ],
        ['unknown_event_version', cloud('payment.initiated', 9, id, customerId, nowMs, spent)],
      ]
      const [code, value] = random.pick(broken)
      sent.push({ kind: 'invalid', code, record: keyed(value) })
    }
  }
  return sent
}
