import { openRedisGenerationStore } from '../../src/edges/redis/states/generation-store.ts'
import { openRedisStateStore } from '../../src/edges/redis/states/state-store.ts'
import { redisAvailable, startTestRedis } from '../support/redis-server.ts'
import { generationStoreContract, type GenerationStoreFixture } from './generation-store-suite.ts'
import { emptyServers } from './state-probe.ts'

async function redisFixture(): Promise<GenerationStoreFixture> {
  const server = await startTestRedis()
  const options = (namespace: string) => ({
    ...{ url: server.url, namespace, commandTimeoutMs: 2_000 },
    eventType: 'payment.initiated',
  })
  return {
    openStates: (namespace) => openRedisStateStore(options(namespace)),
    open: (namespace) => openRedisGenerationStore(options(namespace)),
    empty: () => emptyServers([server]),
    cleanup: () => server.stop(),
  }
}

generationStoreContract('redis', redisFixture, redisAvailable())
