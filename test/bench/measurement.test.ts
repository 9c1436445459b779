import { expect, test } from 'vitest'
import {
  isReached,
  Measurements,
  median,
  quantile,
  rowOf,
  slope,
  type Metric,
} from '../../scripts/bench/measurement.ts'

const rate: Metric = { benchmark: 'pipeline', driver: 'redis', name: 'scored', unit: 'payments/s' }

test('the median is the middle, or the mean of the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([9, 1, 5, 7])).toBe(6)
  expect(median([4])).toBe(4)
  expect(median([])).toBeNaN()
})

test('a quantile is a value that was measured, by nearest rank', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i)
  expect(quantile(values, 0.5)).toBe(50)
  expect(quantile(values, 0.99)).toBe(99)
  expect(quantile(values, 1)).toBe(100)
  expect(quantile(values, 0)).toBe(1)
  expect(quantile([3], 0.99)).toBe(3)
  expect(quantile([], 0.5)).toBeNaN()
})

test('a slope is that of the line that lies closest', () => {
  const line = [0, 1, 2, 3].map((x) => ({ x, y: 5 - 2 * x }))
  expect(slope(line)).toBe(-2)
  expect(slope([...line, { x: 1.5, y: 100 }])).toBeCloseTo(-2)
  expect(
    slope([
      { x: 0, y: 0 },
      { x: 1, y: 0 },
      { x: 2, y: 3 },
    ]),
  ).toBe(1.5)
  expect(slope([{ x: 1, y: 1 }])).toBeNaN()
})

test('rounds of one metric come together; another driver is another metric', () => {
  const measurements = new Measurements()
  measurements.add(rate, 3)
  measurements.add({ ...rate, driver: 'kafka' }, 8)
  measurements.add(rate, 1)
  measurements.add(rate, 2)
  const [redis, kafka] = measurements.all()
  expect(redis).toMatchObject({ values: [3, 1, 2], median: 2, min: 1, max: 3 })
  expect(kafka).toMatchObject({ driver: 'kafka', values: [8] })
})

test('a goal is reached strictly', () => {
  expect(isReached({ kind: 'above', value: 5_000 }, 5_001)).toBe(true)
  expect(isReached({ kind: 'above', value: 5_000 }, 5_000)).toBe(false)
  expect(isReached({ kind: 'below', value: 50 }, 49.9)).toBe(true)
  expect(isReached({ kind: 'below', value: 50 }, 50)).toBe(false)
})

test('a row says whether the median reached the goal', () => {
  const measured = { ...rate, values: [6_000, 4_000, 4_500], median: 4_500, min: 4_000, max: 6_000 }
  expect(rowOf({ ...measured, goal: { kind: 'above', value: 5_000 } })).toEqual({
    benchmark: 'pipeline',
    log: 'redis',
    what: 'scored',
    median: '4,500',
    'min - max': '4,000 - 6,000',
    unit: 'payments/s',
    rounds: 3,
    goal: 'goal above 5,000: missed',
  })
  expect(rowOf(measured)['goal']).toBe('')
})
