import { expect, test } from 'vitest'
import { Estimate } from '../../../scripts/demo/estimate.ts'
import { daysInGoodTime } from '../../../scripts/demo/history-days.ts'

test('says percent, counts and what is left at the rate of the last seconds', () => {
  let nowMs = 0
  const estimate = new Estimate(100_000, () => nowMs)
  expect(estimate.describe(0, 'scored')).toBe('0% scored (0 of 100,000 events)')
  nowMs = 10_000
  expect(estimate.describe(10_000, 'scored')).toBe('10% scored (10,000 of 100,000 events), about 90 s left')
  // Ten times slower from here on: what came before no longer counts.
  for (nowMs = 11_000; nowMs < 40_000; nowMs += 1_000) estimate.describe(10_000 + (nowMs - 10_000) / 10, 'scored')
  nowMs = 40_000
  expect(estimate.describe(13_000, 'scored')).toBe('13% scored (13,000 of 100,000 events), about 15 minutes left')
})

test('nothing is said of what cannot be known, and the end is 100%', () => {
  let nowMs = 0
  const estimate = new Estimate(10, () => nowMs)
  estimate.describe(5, 'scored')
  nowMs = 60_000
  expect(estimate.describe(5, 'scored')).toBe('50% scored (5 of 10 events)')
  expect(estimate.describe(10, 'scored')).toBe('100% scored (10 of 10 events)')
})

test('a quick machine gets all days of history, a slow one as many as it works off within the minute', () => {
  expect(daysInGoodTime(1_400)).toBe(30)
  expect(daysInGoodTime(1_600)).toBe(30)
  const days = [2_000, 4_000, 8_000, 16_000, 1_000_000].map(daysInGoodTime)
  expect(days).toEqual(days.toSorted((a, b) => b - a))
  expect(days[0]).toBeLessThan(30)
  expect(days.at(-1)).toBe(1)
  // What is chosen takes the same time on each: it is the machine that is slower.
  for (const ms of [2_000, 4_000, 8_000]) expect((daysInGoodTime(ms) * ms * 28) / 30).toBeLessThanOrEqual(25_000)
})
