import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NumpyRandom } from '../../../features/simulator/numpy-random.ts'

const seeds = fc.integer({ min: 0, max: 0xffffffff })

test('seed 0 gives the numbers everyone knows from numpy', () => {
  expect(new NumpyRandom(0).double()).toBe(0.5488135039273248)
  const random = new NumpyRandom(0)
  expect([random.normal(0, 1), random.normal(0, 1), random.normal(0, 1)]).toEqual([
    1.764052345967664, 0.4001572083672233, 0.9787379841057392,
  ])
  expect([...new NumpyRandom(0).permutation(10)]).toEqual([2, 8, 4, 9, 1, 6, 7, 3, 0, 5])
})

test('seeding forgets the spare normal value', () => {
  const random = new NumpyRandom(3)
  random.normal(0, 1)
  random.seed(0)
  expect(random.normal(0, 1)).toBe(1.764052345967664)
})

test('Poisson: no rate, no draw; the mean is the rate', () => {
  const random = new NumpyRandom(0)
  expect(random.poisson(0)).toBe(0)
  expect(random.double()).toBe(0.5488135039273248)
  let sum = 0
  for (let i = 0; i < 50_000; i += 1) sum += random.poisson(2.5)
  // Five standard errors of the mean of 50,000 draws.
  expect(Math.abs(sum / 50_000 - 2.5)).toBeLessThan(5 * Math.sqrt(2.5 / 50_000))
  expect(() => random.poisson(10)).toThrow('rate')
})

test('a permutation holds every number once', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 300 }), (seed, length) => {
      const sorted = [...new NumpyRandom(seed).permutation(length)].sort((a, b) => a - b)
      expect(sorted).toEqual(Array.from({ length }, (_, i) => i))
    }),
  )
})

test('uniform stays inside its bounds', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const random = new NumpyRandom(seed)
      for (let i = 0; i < 50; i += 1) {
        const value = random.uniform(5, 100)
        expect(value).toBeGreaterThanOrEqual(5)
        expect(value).toBeLessThan(100)
      }
    }),
  )
})
