import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalLines } from '../../../features/simulator/canonical-lines.ts'
import { generatePopulation } from '../../../features/simulator/population.ts'
import { generatePayments, worldOf, type PaymentColumns } from '../../../features/simulator/payments.ts'

const small = { customers: 60, terminals: 120, days: 40, radius: 12 }
const lines = (columns: PaymentColumns) => [...canonicalLines(columns)].join('').split('\n').slice(0, -1)

describe('ranges of days', () => {
  const whole = generatePayments(small)
  const wholeLines = lines(whole)

  test('any range is a piece of the whole, frauds included', () => {
    for (const scenario of [0, 2, 3]) expect(whole.scenario).toContain(scenario)
    fc.assert(
      fc.property(fc.nat(39), fc.nat(39), (a, b) => {
        const fromDay = Math.min(a, b)
        const toDay = Math.max(a, b) + 1
        const part = generatePayments({ ...small, fromDay, toDay })
        expect(lines(part)).toEqual(wholeLines.slice(part.firstIndex, part.firstIndex + part.length))
        expect(part.firstIndex).toBe(whole.day.filter((day) => day < fromDay).length)
        expect(part.day.every((day) => day >= fromDay && day < toDay)).toBe(true)
        expect(part.firstIndex + part.length).toBe(whole.day.filter((day) => day < toDay).length)
        expect(part.endSecond).toBe(toDay * 86_400)
      }),
      { numRuns: 60 },
    )
  })

  test('a limit takes the first payments and ends just after them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: whole.length }), fc.nat(20), (limit, fromDay) => {
        const part = generatePayments({ ...small, fromDay, limit })
        const start = part.firstIndex
        expect(lines(part)).toEqual(wholeLines.slice(start, start + limit))
        if (start + limit < whole.length) expect(part.endSecond).toBe((part.second.at(-1) ?? 0) + 1)
      }),
      { numRuns: 60 },
    )
  })

  test('a limit beyond the range gives the range', () => {
    const part = generatePayments({ ...small, toDay: 3, limit: 1_000_000 })
    expect(part.length).toBe(whole.day.filter((day) => day < 3).length)
    expect(part.endSecond).toBe(3 * 86_400)
  })

  test('a population drawn before gives the same', () => {
    expect(lines(generatePayments({ ...small, population: generatePopulation(worldOf(small)) }))).toEqual(wholeLines)
  })
})

test('another seed is another world', () => {
  const one = lines(generatePayments(small))
  expect(lines(generatePayments(small))).toEqual(one)
  expect(lines(generatePayments({ ...small, seedOffset: 1_000 }))).not.toEqual(one)
})

test('rows are ordered by second, customer, terminal and cents, ties included', () => {
  // So many payments of so few customers that seconds collide.
  const columns = generatePayments({ customers: 4, terminals: 30, days: 3_000, radius: 100 })
  const key = (row: number) => [columns.second[row], columns.customer[row], columns.terminal[row], columns.cents[row]]
  let ties = 0
  for (let row = 1; row < columns.length; row += 1) {
    const before = key(row - 1)
    const after = key(row)
    const at = before.findIndex((value, column) => value !== after[column])
    if (at >= 2) ties += 1
    if (at >= 0) expect(before[at]).toBeLessThan(after[at] ?? NaN)
  }
  expect(ties).toBeGreaterThan(0)
})

test('a customer without a terminal in reach never pays', () => {
  const world = worldOf({ ...small, terminals: 5, radius: 5 })
  const population = generatePopulation(world)
  const stranded = new Set<number>()
  for (let c = 0; c < world.customers; c += 1) {
    if (population.nearbyStart[c] === population.nearbyStart[c + 1]) stranded.add(c)
  }
  expect(stranded.size).toBeGreaterThan(0)
  const { customer } = generatePayments(world)
  expect(customer.length).toBeGreaterThan(0)
  expect(customer.some((c) => stranded.has(c))).toBe(false)
})

test('amounts stay within what an event may carry, however often they are multiplied', () => {
  const { cents } = generatePayments({ customers: 3, terminals: 30, days: 500, radius: 100 })
  expect(Math.max(...cents)).toBeLessThanOrEqual(10_000_000_000)
  expect(cents.every((value) => Number.isInteger(value) && value >= 0)).toBe(true)
})

test('worlds that make no sense are refused in one sentence', () => {
  expect(() => generatePayments({ customers: 0 })).toThrow('customers: a whole number from 1')
  expect(() => generatePayments({ days: 1.5 })).toThrow('days')
  expect(() => generatePayments({ radius: 0 })).toThrow('radius')
  expect(() => generatePayments({ ...small, fromDay: 40 })).toThrow('no days from 40')
})
