import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PythonRandom } from '../../../features/simulator/python-random.ts'

test('choice: seed 0 over ten gives what Python gives', () => {
  const random = new PythonRandom(0)
  expect(Array.from({ length: 10 }, () => random.below(10))).toEqual([6, 6, 0, 4, 8, 7, 6, 4, 7, 5])
})

test('sample: by set and by pool', () => {
  expect([...new PythonRandom(0).sample(100, 10)]).toEqual([49, 97, 53, 5, 33, 65, 62, 51, 38, 61])
  expect([...new PythonRandom(42).sample(10, 3)]).toEqual([1, 0, 4])
})

test('a sample holds different indices, all inside', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.integer({ min: 0, max: 400 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (seed, n, share) => {
        const k = Math.floor(n * share)
        const sample = new PythonRandom(seed).sample(n, k)
        expect(new Set(sample).size).toBe(k)
        for (const index of sample) expect(index).toBeLessThan(n)
      },
    ),
  )
})

test('asks for nothing impossible', () => {
  expect(() => new PythonRandom(1).below(0)).toThrow('choose')
  expect(() => new PythonRandom(1).sample(2, 3)).toThrow('sample')
})
