import { expect, test } from 'vitest'
import {
  atTerminal,
  byCustomer,
  crowdOf,
  evenly,
  historyOf,
  mixed,
  traffic,
  wideHistory,
  type TrafficOptions,
} from '../../../scripts/bench/growth/traffic.ts'
import { isPayment } from '../../../features/simulator/payment-events.ts'
import { dayMs } from '../../../src/base/units.ts'

const paymentsOf = (options: TrafficOptions) =>
  [...traffic(options)].filter(isPayment).map(({ data, timestamp }) => ({ ...data, timestamp }))

function entitiesIn(payments: ReturnType<typeof paymentsOf>) {
  const customers = new Set(payments.map(({ customerId }) => customerId))
  const terminals = new Set(payments.map(({ terminalId }) => terminalId))
  const pairs = new Set(payments.map(({ customerId, terminalId }) => `${customerId}|${terminalId}`))
  return { customers: customers.size, terminals: terminals.size, pairs: pairs.size }
}

test('a history leaves states of exactly the entities of the crowd, whatever its days', () => {
  for (const days of [1, 3]) {
    const { customers, terminals, pairs } = entitiesIn(paymentsOf(historyOf(crowdOf(1_000), days)))
    expect({ customers, terminals, pairs }).toEqual({ customers: 200, terminals: 400, pairs: 400 })
  }
})

test('a history is in order, and spreads over its days up to now', () => {
  const before = Date.now()
  const times = paymentsOf(historyOf(crowdOf(100), 5)).map(({ timestamp }) => timestamp)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect(Math.min(...times)).toBeGreaterThanOrEqual(before - 5 * dayMs)
  expect(Math.max(...times)).toBeLessThanOrEqual(Date.now())
  expect(new Set(times.map((time) => Math.floor((time - (times[0] ?? 0)) / dayMs))).size).toBe(5)
})

test('even traffic pays by pairs of the history alone, so that it meets states and makes none', () => {
  const crowd = crowdOf(500)
  const known = new Set(paymentsOf(historyOf(crowd, 1)).map((one) => `${one.customerId}|${one.terminalId}`))
  const live = paymentsOf({ idPrefix: 'live-', payments: 1_000, draw: evenly(crowd, 1) })
  expect(live.filter((one) => !known.has(`${one.customerId}|${one.terminalId}`))).toEqual([])
})

test('a mixture gives the hot terminal or the wide customer exactly its share', () => {
  const crowd = crowdOf(5_000)
  const hot = paymentsOf({
    idPrefix: 'h-',
    payments: 100,
    draw: mixed(() => ({ customer: 1, terminal: 9 }), atTerminal(crowd, 0, 1), 2),
  })
  expect(hot.filter(({ terminalId }) => terminalId === '0')).toHaveLength(50)
  const wide = paymentsOf({
    idPrefix: 'w-',
    payments: 100,
    draw: mixed(() => ({ customer: 1, terminal: 9 }), byCustomer(77, 30, 1), 10),
  })
  expect(wide.filter(({ customerId }) => customerId === '77')).toHaveLength(10)
})

test('a wide customer has paid at each of its terminals', () => {
  expect(entitiesIn(paymentsOf(wideHistory(7, 300)))).toEqual({ customers: 1, terminals: 300, pairs: 300 })
})
