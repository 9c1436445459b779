import { describe, expect, it } from 'vitest'
import { stabilityIndex, withUsual } from '../../src/scoring/drift.ts'
import { OutcomeTally } from '../../src/scoring/outcome-tally.ts'

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
    expect(report).toMatchObject({ events: 20, frauds: 3, alertRate: 4 / 20, precision: 2 / 4, recall: 2 / 3 })
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
    expect(empty).toMatchObject({ events: 0, alertRate: 0, precision: null, recall: null, costMinor: 0 })
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

it('a value that nearly all rows have is a bin of its own, so that less of it shows', () => {
  // 92% were 1 and the rest 0: both are below or at the only edge's bin.
  const then = { edges: [0], shares: [0, 1], usual: { value: 1, share: 0.92 } }
  expect(withUsual([0, 1], then, 0.58)).toEqual([0.58, 0, expect.closeTo(0.42, 12)])
  const index = stabilityIndex(withUsual([0, 1], then, 0.58), withUsual(then.shares, then, then.usual.share))
  expect(index).toBeCloseTo((0.58 - 0.92) * Math.log(0.58 / 0.92) + (0.42 - 0.08) * Math.log(0.42 / 0.08), 9)
  const middle = { edges: [1, 2, 3], shares: [0.1, 0.5, 0.2, 0.2], usual: { value: 1, share: 0.3 } }
  expect(withUsual(middle.shares, middle, 0.3)).toEqual([0.3, 0.1, expect.closeTo(0.2, 12), 0.2, 0.2])
})
