import { describe, expect, test } from 'vitest'
import { fraudReported, paymentInitiated } from '../../../features/sources.ts'
import { encodeEvent, type EventCatalog } from '../../../src/events/event.ts'
import { decodeEvent } from '../../../src/events/decode-event.ts'
import { dayMs } from '../../../src/base/units.ts'
import {
  history,
  historyEndMs,
  historyLength,
  pendingLabels,
  type HistoryOptions,
} from '../../../features/simulator/history.ts'
import { datasetEpochMs, isPayment } from '../../../features/simulator/payment-events.ts'
import { generatePayments, type PaymentColumns } from '../../../features/simulator/payments.ts'
import { originEndingAt } from '../../../scripts/simulator/time-axis.ts'

const columns = generatePayments({ customers: 60, terminals: 120, days: 40, radius: 12 })
const week = { labelDelayMs: 7 * dayMs }
const catalog: EventCatalog = new Map(
  [paymentInitiated, fraudReported].map((type) => [
    type.type,
    type as EventCatalog extends Map<string, infer T> ? T : never,
  ]),
)
const events = (options: HistoryOptions, of: PaymentColumns = columns) => [...history(of, options)]

/** Columns of hand-written rows: second and scenario. */
function rows(...given: readonly (readonly [second: number, scenario: number])[]): PaymentColumns {
  const seconds = given.map(([second]) => second)
  return {
    length: given.length,
    firstIndex: 100,
    fromDay: 0,
    endSecond: (seconds.at(-1) ?? 0) + 1,
    day: new Uint16Array(given.length),
    second: Uint32Array.from(seconds),
    customer: Uint32Array.from(given, (_, i) => i),
    terminal: Uint32Array.from(given, () => 3),
    cents: Float64Array.from(given, () => 1_234),
    fraud: Uint8Array.from(given, ([, scenario]) => Math.min(scenario, 1)),
    scenario: Uint8Array.from(given, ([, scenario]) => scenario),
  }
}

test('the first event is the first payment, as the wire carries it', () => {
  const [first] = events(week, generatePayments({ limit: 1 }))
  expect(JSON.parse(encodeEvent(first!))).toEqual({
    specversion: '1.0',
    id: 'pay-0',
    type: 'payment.initiated',
    source: 'urn:riverbank:simulator',
    subject: '596',
    time: '2018-04-01T00:00:31.000Z',
    dataschema: 'urn:riverbank:payment.initiated:2',
    datacontenttype: 'application/json',
    correlationid: 'pay-0',
    data: { customerId: '596', terminalId: '3156', amountMinor: 5716, currency: 'EUR' },
  })
})

test('every event decodes, in time order, with unique ids', () => {
  const all = events({ ...week, idPrefix: 'a.' })
  const nowMs = datasetEpochMs + 40 * dayMs
  for (const event of all) {
    const decoded = decodeEvent(new TextEncoder().encode(encodeEvent(event)), catalog, nowMs)
    expect(decoded).toMatchObject({ kind: 'valid', event })
  }
  expect(new Set(all.map((event) => event.eventId)).size).toBe(all.length)
  expect(all.every((event) => event.eventId.startsWith('a.'))).toBe(true)
  for (let i = 1; i < all.length; i += 1) expect(all[i]!.timestamp).toBeGreaterThanOrEqual(all[i - 1]!.timestamp)
})

describe('labels', () => {
  test('say what the payment was, and name it as their cause', () => {
    const all = events({ labelDelayMs: 2_000, labelsBeforeMs: Infinity }, rows([5, 3]))
    expect(all[1]).toEqual({
      eventId: 'fraud-100',
      eventType: 'fraud.reported',
      timestamp: datasetEpochMs + 7_000,
      aggregateId: '0',
      aggregateType: 'customer',
      version: 1,
      causationId: 'pay-100',
      correlationId: 'pay-100',
      data: {
        paymentId: 'pay-100',
        customerId: '0',
        terminalId: '3',
        amountMinor: 1_234,
        currency: 'EUR',
        paymentTimeMs: datasetEpochMs + 5_000,
        kind: 'chargeback',
      },
      metadata: { source: 'urn:riverbank:simulator' },
    })
  })

  test('come before a payment of the same moment', () => {
    const ids = (delayMs: number) => events({ labelDelayMs: delayMs }, rows([10, 1], [20, 0])).map((e) => e.eventId)
    expect(ids(9_999)).toEqual(['pay-100', 'fraud-100', 'pay-101'])
    expect(ids(10_000)).toEqual(['pay-100', 'fraud-100', 'pay-101'])
    expect(ids(10_001)).toEqual(['pay-100', 'pay-101', 'fraud-100'])
    expect(ids(11_000)).toEqual(['pay-100', 'pay-101'])
  })

  test('are reported or pending, never both and never neither', () => {
    const frauds = columns.fraud.reduce((sum, value) => sum + value, 0)
    const end = historyEndMs(columns, datasetEpochMs)
    for (const labelsBeforeMs of [undefined, end - 20 * dayMs, end + 3 * dayMs, Infinity, 0]) {
      const options = { ...week, ...(labelsBeforeMs === undefined ? {} : { labelsBeforeMs }) }
      const all = events(options)
      const reported = all.filter((event) => !isPayment(event))
      const pending = pendingLabels(columns, options)
      expect(reported.length + pending.length).toBe(frauds)
      expect(new Set([...reported, ...pending].map((event) => event.eventId)).size).toBe(frauds)
      expect(reported.every((event) => event.timestamp < (labelsBeforeMs ?? end))).toBe(true)
      expect(pending.every((event) => event.timestamp >= (labelsBeforeMs ?? end))).toBe(true)
      expect(historyLength(columns, options)).toBe(all.length)
    }
  })

  test('can be left out', () => {
    expect(events({ labelDelayMs: null }).every(isPayment)).toBe(true)
    expect(pendingLabels(columns, { labelDelayMs: null })).toEqual([])
    expect(historyLength(columns, { labelDelayMs: null })).toBe(columns.length)
  })
})

describe('a moved time axis', () => {
  const endMs = Date.UTC(2026, 1, 3, 4, 5, 6)
  const range = { epochMs: datasetEpochMs, lengthMs: columns.endSecond * 1_000 }

  test('ends at the moment asked for', () => {
    const originMs = originEndingAt(endMs, range, 'none')
    expect(historyEndMs(columns, originMs)).toBe(endMs)
    const first = events({ ...week, originMs })[0]!
    expect(first.timestamp).toBe(endMs - 40 * dayMs + (columns.second[0] ?? 0) * 1_000)
  })

  test('moves by whole seconds at least', () => {
    expect(originEndingAt(endMs + 999, range, 'none')).toBe(originEndingAt(endMs, range, 'none'))
  })

  test('keeps the time of day, or the day of the week too', () => {
    const byDay = originEndingAt(endMs, range, 'day')
    expect(byDay % dayMs).toBe(0)
    expect(endMs - historyEndMs(columns, byDay)).toBeGreaterThanOrEqual(0)
    expect(endMs - historyEndMs(columns, byDay)).toBeLessThan(dayMs)
    const byWeek = originEndingAt(endMs, range, 'week')
    expect(new Date(byWeek).getUTCDay()).toBe(0)
    expect(endMs - historyEndMs(columns, byWeek)).toBeLessThan(7 * dayMs)
    expect(endMs - historyEndMs(columns, byWeek)).toBeGreaterThanOrEqual(0)
  })
})
