import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Pace } from '../../../scripts/simulator/pace.ts'

test('tokens come evenly: never more than the rate plus one burst in any window', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.5, max: 5_000, noNaN: true }),
      fc.array(fc.double({ min: 0, max: 400, noNaN: true }), { minLength: 1, maxLength: 200 }),
      (perSecond, stepsMs) => {
        const pace = new Pace(perSecond, 200, 0)
        let nowMs = 0
        const takenAt: number[] = []
        for (const stepMs of stepsMs) {
          nowMs += stepMs
          while (pace.waitMs(nowMs) === 0) {
            pace.take()
            takenAt.push(nowMs)
          }
        }
        expect(takenAt.length).toBeLessThanOrEqual(1 + (nowMs / 1000) * perSecond + 1e-6)
        const burst = Math.max(1, perSecond * 0.2)
        for (let i = 0, j = 0; i < takenAt.length; i += 1) {
          while (takenAt[i]! - takenAt[j]! > 1_000) j += 1
          expect(i - j + 1).toBeLessThanOrEqual(perSecond + burst + 1)
        }
      },
    ),
  )
})

test('waiting as long as it says gives exactly the rate', () => {
  const pace = new Pace(8, 200, 0)
  let nowMs = 0
  let taken = 0
  while (taken < 81) {
    nowMs += pace.waitMs(nowMs)
    if (pace.waitMs(nowMs) > 0) continue
    pace.take()
    taken += 1
  }
  expect(nowMs).toBeCloseTo(10_000, 6)
})

test('a clock that goes back changes nothing', () => {
  const pace = new Pace(10, 200, 1_000)
  pace.take()
  expect(pace.waitMs(500)).toBe(100)
  expect(pace.waitMs(1_050)).toBe(50)
})

test('a long stall is caught up with by one burst at most', () => {
  const pace = new Pace(1_000, 200, 0)
  let taken = 0
  while (pace.waitMs(10_000) === 0) {
    pace.take()
    taken += 1
  }
  expect(taken).toBe(200)
})
