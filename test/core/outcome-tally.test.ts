import { describe, expect, it } from 'vitest'
import { stabilityIndex } from '../../src/core/drift.ts'
import { OutcomeTally } from '../../src/core/outcome-tally.ts'

describe('the tally of outcomes', () => {
  it('counts decisions by what the payments were, and what they cost', () => {
    const tally = new OutcomeTally({ reviewMinor: 10, falseBlockMinor: 100 })
    tally.add('block', true, 700)
    tally.add('review', true, 300)
    tally.add('approve', true, 50)
    tally.add('review', false, 1)
    tally.add('block', false, 1)
    tally.addMany('approve', false, 15, 15_000)
    const report = tally.report()
    expect(report.confusion).toEqual({
      fraud: { approve: 1, review: 1, block: 1 },
      honest: { approve: 15, review: 1, block: 1 },
    })
    expect(report).toMatchObject({ payments: 20, frauds: 3, alertRate: 4 / 20, precision: 2 / 4, recall: 2 / 3 })
    expect(report).toMatchObject({
      blockPrecision: 1 / 2,
      blockRecall: 1 / 3,
      valueCaughtMinor: 1_000,
      valueMissedMinor: 50,
    })
    // The missed one, two reviews, one honest payment refused.
    expect(report.costMinor).toBe(50 + 2 * 10 + 100)
  })

  it('has no precision without alerts and no recall without frauds', () => {
    const empty = new OutcomeTally({ reviewMinor: 1, falseBlockMinor: 1 }).report()
    expect(empty).toMatchObject({ payments: 0, alertRate: 0, precision: null, recall: null, costMinor: 0 })
  })
})

describe('the population stability index', () => {
  it('is zero for equal shares, symmetric, and the sum of its definition', () => {
    const [p, q] = [
      [0.2, 0.3, 0.5],
      [0.25, 0.25, 0.5],
    ]
    expect(stabilityIndex(p, p)).toBe(0)
    const expected = (0.2 - 0.25) * Math.log(0.2 / 0.25) + (0.3 - 0.25) * Math.log(0.3 / 0.25)
    expect(stabilityIndex(p, q)).toBeCloseTo(expected, 12)
    expect(stabilityIndex(q, p)).toBeCloseTo(expected, 12)
  })

  it('stays finite where a bin is empty', () => {
    expect(stabilityIndex([0, 1], [1, 0])).toBeGreaterThan(10)
    expect(stabilityIndex([0, 1], [1, 0])).toBeLessThan(100)
  })
})
