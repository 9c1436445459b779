import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { plantedBugs, type PlantedBug } from './support/planted-bugs.ts'
import { nothingTold, story } from './support/protocol-checks.ts'
import { memoryVault } from './support/protocol-states.ts'
import { testSeed as seed } from '../support/seed.ts'

/** A bug that so many stories do not show would not be found by the tests of the protocol either. */
const numRuns = 500

describe(`a planted bug is found, seed ${seed}`, () => {
  for (const bug of plantedBugs) it(`${bug.breaks}: ${bug.name}`, { timeout: 120_000 }, () => isFound(bug))
})

async function isFound(bug: PlantedBug): Promise<void> {
  const told = nothingTold()
  const property = story({ vault: memoryVault, withRewinds: bug.needsLosses, plant: bug, told })
  const found = await fc.check(property, { seed, numRuns, endOnFailure: true })
  expect(found.failed, `${told.stories} stories were well`).toBe(true)
  expect(found.errorInstance).toBeInstanceOf(Error)
}
