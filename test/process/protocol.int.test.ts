import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectRedis } from '../../src/edges/redis/server/connection.ts'
import { statesOn } from '../../src/edges/redis/states/state-store.ts'
import type { StateStore } from '../../src/ports/states.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { nothingTold, story } from './support/protocol-checks.ts'
import { nothingPlanted } from './support/protocol-member.ts'
import type { Vault } from './support/protocol-states.ts'
import { testSeed as seed } from '../support/seed.ts'

const numRuns = 40
const namespace = 'protocol'
const ttlMs = 3_600_000

describe.skipIf(redisAvailable() !== null)(`the protocol of the states on a real Redis, seed ${seed}`, () => {
  let server: TestRedis
  let store: StateStore
  let connection: Redis
  let redis: Redis
  beforeAll(async () => {
    server = await startTestRedis({ persistence: 'off' })
    const { url } = server
    connection = await connectRedis(
      { url, name: namespace, commandTimeoutMs: 10_000, reconnectMaxDelayMs: 1_000 },
      'state_unavailable',
    )
    // Every member of every story has states of its own on it.
    connection.setMaxListeners(0)
    store = statesOn(connection, namespace)
    redis = new Redis(server.url)
  })
  afterAll(async () => {
    redis.disconnect()
    await store.close()
    await server.stop()
  })

  /** Puts back what the server had before, as a server that comes back without its tail has it. */
  async function redisVault(): Promise<Vault> {
    await redis.flushall()
    return {
      store,
      connect: () => statesOn(connection, namespace),
      empty: async () => {
        await redis.flushall()
      },
      put: async ({ entity, id }, blob) => {
        const key = `${namespace}:state:{${entity}:${id}}`
        if (blob === null) await redis.del(key)
        else await redis.set(key, Buffer.from(blob), 'PX', ttlMs)
      },
      putPosition: async (topic, partition, next) => {
        const key = `${namespace}:positions:${topic}`
        if (next === null) await redis.hdel(key, String(partition))
        else await redis.hset(key, String(partition), next)
      },
    }
  }

  it('I1, I2, I3 and I4 hold through crashes, zombies, rebalances and lost replies', async () => {
    const told = nothingTold()
    await fc.assert(story({ vault: redisVault, withRewinds: false, plant: nothingPlanted, told }), { seed, numRuns })
    expect(told.conflicts).toBeGreaterThan(0)
    expect(told.fenced).toBeGreaterThan(0)
    expect(told.differing).toBe(0)
  })

  it('I1 and I4 hold, and everything is answered, whatever the store loses', async () => {
    const told = nothingTold()
    await fc.assert(story({ vault: redisVault, withRewinds: true, plant: nothingPlanted, told }), { seed, numRuns })
    expect(told.rewinds).toBeGreaterThan(0)
  })
})
