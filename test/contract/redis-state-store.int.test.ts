import { Redis } from 'ioredis'
import { openRedisStateStore } from '../../src/edges/redis/states/state-store.ts'
import { redisAvailable, startTestRedis } from '../support/redis-server.ts'
import { emptyServers } from './state-probe.ts'
import { stateStoreContract, type StateStoreFixture } from './state-store-suite.ts'

async function redisFixture(): Promise<StateStoreFixture> {
  const server = await startTestRedis({ persistence: 'always' })
  return {
    open: (namespace) => openRedisStateStore({ url: server.url, namespace, commandTimeoutMs: 2_000 }),
    holderOf: () => Promise.resolve(server),
    ttlMs: async (namespace, { entity, id }) => {
      const redis = new Redis(server.url)
      const left = await redis.pttl(`${namespace}:state:{${entity}:${id}}`)
      redis.disconnect()
      return left
    },
    empty: () => emptyServers([server]),
    restart: () => server.restart(),
    killAll: () => server.kill(),
    cleanup: () => server.stop(),
  }
}

stateStoreContract('redis', redisFixture, redisAvailable())
