import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nothingTold, story } from './support/protocol-checks.ts'
import { nothingPlanted } from './support/protocol-member.ts'
import { memoryVault } from './support/protocol-states.ts'
import { testSeed as seed } from '../support/seed.ts'

const numRuns = Number(process.env['TEST_RUNS'] ?? 200)

describe(`the protocol of the states, any schedule, seed ${seed}`, () => {
  it('I1, I2, I3 and I4 hold through crashes, zombies, rebalances and lost replies', { timeout: 120_000 }, async () => {
    const told = nothingTold()
    await fc.assert(story({ vault: memoryVault, withRewinds: false, plant: nothingPlanted, told }), { seed, numRuns })
    for (const name of ['crashes', 'zombies', 'fenced', 'moves', 'lostReplies', 'conflicts', 'copies'] as const) {
      expect(told[name], name).toBeGreaterThan(0)
    }
    expect(told.differing).toBe(0)
  })

  it('I1 and I4 hold, and everything is answered, whatever the store loses', { timeout: 120_000 }, async () => {
    const told = nothingTold()
    await fc.assert(story({ vault: memoryVault, withRewinds: true, plant: nothingPlanted, told }), { seed, numRuns })
    expect(told.losses).toBeGreaterThan(0)
    expect(told.rewinds).toBeGreaterThan(0)
  })
})
