import { openClusterStateStore } from '../../src/edges/redis/cluster/cluster-state-store.ts'
import { openClusterGenerationStore } from '../../src/edges/redis/states/generation-store.ts'
import { startTestCluster } from '../support/redis-cluster.ts'
import { redisAvailable } from '../support/redis-server.ts'
import { generationStoreContract, type GenerationStoreFixture } from './generation-store-suite.ts'
import { emptyServers } from './state-probe.ts'

async function clusterFixture(): Promise<GenerationStoreFixture> {
  const cluster = await startTestCluster()
  const options = (namespace: string) => ({
    ...{ seeds: cluster.seeds, namespace, commandTimeoutMs: 2_000 },
    eventType: 'payment.initiated',
  })
  return {
    openStates: (namespace) => openClusterStateStore(options(namespace)),
    open: (namespace) => openClusterGenerationStore(options(namespace)),
    empty: () => emptyServers(cluster.nodes.map(({ server }) => server)),
    cleanup: () => cluster.stop(),
  }
}

generationStoreContract('redis cluster', clusterFixture, redisAvailable())
