import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideRestart, recentCrashes } from '../../../src/app/supervise/restart-policy.ts'

const limits = { delayMsMin: 100, delayMsMax: 1_000, crashesMax: 5, windowMs: 60_000 }
const crashes = (count: number, atMs: number) => Array.from({ length: count }, () => atMs)

describe('restart policy', () => {
  test.each([
    [1, 100],
    [2, 200],
    [3, 400],
    [4, 800],
    [5, 1_000],
  ])('crash %i within the window waits %i ms', (count, delayMs) => {
    expect(decideRestart(crashes(count, 5_000), 5_000, limits)).toEqual({ kind: 'restart', delayMs, crashes: count })
  })

  test('one crash too many gives up', () => {
    expect(decideRestart(crashes(6, 5_000), 5_000, limits)).toEqual({ kind: 'give_up', crashes: 6 })
  })

  test('without a limit of crashes nothing is given up, and the pause stays bounded', () => {
    const forGood = { ...limits, crashesMax: null }
    expect(decideRestart(crashes(1_000, 5_000), 5_000, forGood)).toEqual({
      kind: 'restart',
      delayMs: limits.delayMsMax,
      crashes: 1_000,
    })
  })

  test('what is older than the window is forgotten', () => {
    const old = [...crashes(6, 5_000), 65_000]
    expect(decideRestart(old, 65_000, limits)).toEqual({ kind: 'restart', delayMs: 100, crashes: 1 })
    expect(recentCrashes(old, 65_000, limits)).toEqual([65_000])
    expect(recentCrashes(old, 64_999, limits)).toHaveLength(7)
  })

  test('the pause is bounded, whatever happened', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200_000), { maxLength: 50 }), fc.nat(200_000), (times, nowMs) => {
        const decision = decideRestart(times, nowMs, limits)
        if (decision.kind === 'give_up') return decision.crashes > limits.crashesMax
        return decision.delayMs >= limits.delayMsMin && decision.delayMs <= limits.delayMsMax
      }),
    )
  })
})
