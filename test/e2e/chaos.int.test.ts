import { describe, expect, it } from 'vitest'
import { kill, lostReplies, zombie, type Fault } from '../../scripts/chaos/faults.ts'
import { emptied, lostTail } from '../../scripts/chaos/losses.ts'
import { poison } from '../../scripts/chaos/poison.ts'
import { Results } from '../../scripts/chaos/results.ts'
import { runChaos } from '../../scripts/chaos/run.ts'
import type { Driver } from '../../scripts/chaos/servers.ts'
import { kafkaMissing } from '../support/kafka-broker.ts'
import { redisAvailable } from '../support/redis-server.ts'
import { testSeed as seed } from '../support/seed.ts'

/** Each alone takes longer than a whole suite of others: a few faults, once. `npm run chaos` inflicts all of them. */
const timeoutMs = 300_000

const noRedis = redisAvailable()

/** One round on real processes; answers what did not hold, and what was never seen to happen. */
async function inflict(driver: Driver, keeping: readonly Fault[], losing: readonly Fault[]): Promise<string[]> {
  const results = new Results()
  const lines: string[] = []
  const say = (line: string) => void lines.push(line)
  const { signal } = new AbortController()
  await runChaos({ driver, seed, minutes: 0, processors: 2, keeping, losing, signal, say }, results)
  const unseen = results.unseen.map(({ fault }) => `${fault} was never seen`)
  const problems = [...results.violations, ...unseen]
  return problems.length === 0 ? [] : [...problems, ...lines]
}

describe.skipIf(noRedis !== null)(`chaos, log: redis, seed ${seed}`, () => {
  it('I1 to I6 hold through kills, a zombie, lost replies and poison', { timeout: timeoutMs }, async () => {
    const faults = [kill(['after-write', 'after-publish']), zombie, lostReplies(2), poison]
    expect(await inflict('redis', faults, [])).toEqual([])
  })

  it(
    'I1 and I4 hold where Redis loses its tail, and nobody goes on where it was emptied',
    { timeout: timeoutMs },
    async () => {
      expect(await inflict('redis', [], [lostTail, emptied])).toEqual([])
    },
  )
})

describe.skipIf(noRedis !== null || kafkaMissing() !== null)(`chaos, log: kafka, seed ${seed}`, () => {
  it('holds through kills, a zombie and poison, lost writes and an emptied Redis', { timeout: timeoutMs }, async () => {
    const faults = [kill(['after-advance', 'before-commit']), zombie, poison]
    expect(await inflict('kafka', faults, [lostTail, emptied])).toEqual([])
  })
})
