import { Redis } from 'ioredis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { testSeed as seed } from '../support/seed.ts'
import { eventually } from '../support/wait.ts'
import { checkInvariants } from './support/invariants.ts'
import { traffic } from './support/traffic.ts'
import { World, type Around, type Step } from './support/world.ts'

const within = { deadlineMs: 60_000 }
const partitions = 3

describe.skipIf(redisAvailable() !== null)(`a processor and a short outage of the states, seed ${seed}`, () => {
  async function open(): Promise<{ server: TestRedis; world: World }> {
    const server = await startTestRedis({ persistence: 'always' })
    const world = await World.open({ url: server.url, namespace: 'outage', partitions, maxRecords: 8 })
    onTestFinished(async () => {
      await world.close()
      await server.stop()
    })
    const sent = traffic({ topic: world.topics.events, seed, events: 60, customers: 8, terminals: 4 })
    await world.log.publish(sent.map(({ record }) => record))
    return { server, world }
  }

  /** The worker does all its work, without having been started again. */
  async function finishes(world: World, around: Around): Promise<void> {
    const worker = await world.work(around)
    onTestFinished(() => worker.stop())
    const failed = worker.finished.then(() => Promise.reject(new Error('the worker ended')))
    await Promise.race([eventually(() => world.isDone(), within), failed])
    await worker.stop()
    expect(world.witness.violations).toEqual([])
    await checkInvariants(world)
  }

  const steps: readonly Step[] = ['metadata', 'layouts', 'positions', 'advance', 'load', 'write', 'publish', 'commit']
  it.each(steps)('a restart of redis at the step "%s" ends a claim and not the processor', async (step) => {
    const { server, world } = await open()
    let restart: { readonly killed: Promise<void>; readonly done: Promise<void> } | null = null
    const begin = () => {
      const killed = server.kill()
      return { killed, done: killed.then(() => server.restart()) }
    }
    await finishes(world, async (at, _partition, call) => {
      if (at === step) {
        restart ??= begin()
        await restart.killed
      }
      return call()
    })
    expect(restart).not.toBeNull()
  })

  it.each(['metadata', 'layouts', 'positions', 'write', 'advance'] as const)(
    'a memory limit that is reached at the step "%s" is waited for',
    async (step) => {
      const { server, world } = await open()
      const redis = new Redis(server.url)
      onTestFinished(() => redis.disconnect())
      const limit = (bytes: number) => redis.config('SET', 'maxmemory', bytes)
      let refusals = 0
      await finishes(world, async (at, _partition, call) => {
        if (at !== step || refusals >= 3) return call()
        await limit(1)
        try {
          return await call()
        } catch (error) {
          refusals += 1
          throw error
        } finally {
          await limit(0)
        }
      })
    },
  )
})
