import { expect, test } from 'vitest'
import { labelEvent, isPayment, type SimulatedEvent } from '../../../features/simulator/payment-events.ts'
import { liveTraffic, type LiveOptions } from '../../../features/simulator/live-traffic.ts'
import { worldOf } from '../../../features/simulator/payments.ts'
import { generatePopulation } from '../../../features/simulator/population.ts'
import { terminalsFallenOn } from '../../../features/simulator/frauds.ts'
import { dayMs, hourMs } from '../../../src/base/units.ts'

const world = worldOf({})
const population = generatePopulation(world)
const originMs = Date.UTC(2026, 0, 1)
const startMs = originMs + 183 * dayMs

/** A clock that moves by `stepMs` each time it is asked. */
const clock = (stepMs: number) => {
  let now = startMs - stepMs
  return () => (now += stepMs)
}
const live = (options: Partial<LiveOptions>): SimulatedEvent[] => [
  ...liveTraffic({
    world,
    population,
    seed: 1,
    idPrefix: 'live-',
    originMs,
    nowMs: clock(100),
    labelDelayMs: null,
    payments: 1_000,
    ...options,
  }),
]

test('the same seed and clock give the same events, another seed others', () => {
  expect(live({})).toEqual(live({}))
  expect(live({ seed: 2 })).not.toEqual(live({}))
})

test('customers pay at terminals in their reach, now', () => {
  const events = live({})
  expect(events).toHaveLength(1_000)
  events.forEach((event, i) => {
    expect(event.timestamp).toBe(startMs + i * 100)
    const customer = Number(event.data.customerId)
    const reach = population.nearby.subarray(population.nearbyStart[customer], population.nearbyStart[customer + 1])
    expect(reach).toContain(Number(event.data.terminalId))
    expect(Number.isInteger(event.data.amountMinor)).toBe(true)
  })
  expect(new Set(events.map((event) => event.eventId)).size).toBe(1_000)
})

test('who pays often in the history pays often now', () => {
  const byRate = [0, 0, 0, 0]
  for (const event of live({ payments: 20_000 })) {
    const quarter = Math.floor(population.paymentsPerDay[Number(event.data.customerId)] ?? 0)
    byRate[quarter] = (byRate[quarter] ?? 0) + 1
  }
  // Rates are even in 0..4, so the quarters pay like 1 : 3 : 5 : 7.
  byRate.forEach((count, quarter) => {
    expect(count / 20_000).toBeGreaterThan(((2 * quarter + 1) / 16) * 0.85)
    expect(count / 20_000).toBeLessThan(((2 * quarter + 1) / 16) * 1.15)
  })
})

test('frauds are as frequent as in the history, and reported after the delay', () => {
  // Two weeks, so that many different terminals and customers are compromised in turn.
  const events = live({ payments: 60_000, nowMs: clock((14 * dayMs) / 60_000), labelDelayMs: hourMs })
  const payments = new Map(events.filter(isPayment).map((event) => [event.eventId, event]))
  const labels = events.filter((event) => !isPayment(event))
  // The history has 0.84 %.
  expect(labels.length / payments.size).toBeGreaterThan(0.005)
  expect(labels.length / payments.size).toBeLessThan(0.013)
  let nowMs = 0
  for (const event of events) {
    if (isPayment(event)) {
      nowMs = event.timestamp
      continue
    }
    const payment = payments.get(event.data.paymentId)!
    expect(event.data).toMatchObject({
      customerId: payment.data.customerId,
      terminalId: payment.data.terminalId,
      amountMinor: payment.data.amountMinor,
      paymentTimeMs: payment.timestamp,
    })
    expect(event.timestamp).toBe(payment.timestamp + hourMs)
    // Due when it comes: at most one tick of the clock after the payment before it.
    expect(event.timestamp).toBeLessThanOrEqual(nowMs + 2 * ((14 * dayMs) / 60_000))
  }
})

test('terminals that fell at the end of the history are still compromised', () => {
  const fallen = new Set([...terminalsFallenOn(170, world)].map(String))
  const events = live({ payments: 30_000, nowMs: clock(1), labelDelayMs: 0 })
  const atFallen = events.filter((event) => isPayment(event) && fallen.has(event.data.terminalId))
  const reported = new Set(events.filter((event) => !isPayment(event)).map((event) => event.correlationId))
  expect(atFallen.length).toBeGreaterThan(0)
  expect(atFallen.slice(0, -1).every((event) => reported.has(event.eventId))).toBe(true)
})

test('labels left over from the history come when they are due', () => {
  const payment = { index: 0, timeMs: startMs - hourMs, customer: 1, terminal: 1, cents: 1, scenario: 2 }
  const naming = { idPrefix: 'old-', currency: 'EUR' }
  const pending = [labelEvent(payment, naming, hourMs + 250), labelEvent({ ...payment, index: 1 }, naming, 10 * hourMs)]
  const ids = live({ payments: 5, pending }).map((event) => event.eventId)
  expect(ids).toEqual(['live-pay-0', 'live-pay-1', 'live-pay-2', 'old-fraud-0', 'live-pay-3', 'live-pay-4'])
})

test('remembers only so many unreported frauds', () => {
  const options = { payments: 20_000, nowMs: clock(1), labelDelayMs: 15_000 }
  const labels = (waitingLabelsMax: number) =>
    live({ ...options, nowMs: clock(1), waitingLabelsMax }).filter((event) => !isPayment(event)).length
  expect(labels(3)).toBe(3)
  expect(labels(1_000)).toBeGreaterThan(3)
})

test('is drawn only as far as it is asked for', () => {
  let asked = 0
  const traffic = liveTraffic({
    world,
    population,
    seed: 1,
    idPrefix: '',
    originMs,
    nowMs: () => startMs + (asked += 1),
    labelDelayMs: null,
  })
  traffic.next()
  traffic.next()
  expect(asked).toBe(2)
})
