import { clusterStateKey, openClusterStateStore } from '../../src/edges/redis/cluster/cluster-state-store.ts'
import { startTestCluster } from '../support/redis-cluster.ts'
import { redisAvailable } from '../support/redis-server.ts'
import { emptyServers } from './state-probe.ts'
import { stateStoreContract, type StateStoreFixture } from './state-store-suite.ts'

async function clusterFixture(): Promise<StateStoreFixture> {
  const cluster = await startTestCluster()
  return {
    open: (namespace) => openClusterStateStore({ seeds: cluster.seeds, namespace, commandTimeoutMs: 2_000 }),
    empty: () => emptyServers(cluster.nodes.map(({ server }) => server)),
    holderOf: async (namespace, key) => (await cluster.ownerOf(clusterStateKey(namespace, key))).server,
    ttlMs: async (namespace, key) => {
      const name = clusterStateKey(namespace, key)
      return Number(await (await cluster.ownerOf(name)).call('PTTL', name))
    },
    restart: async () => {
      const dead = cluster.nodes.filter(({ server }) => !isAlive(server.pid()))
      await Promise.all(dead.map(({ server }) => server.restart()))
      await cluster.untilWorking()
    },
    killAll: async () => {
      await Promise.all(cluster.nodes.map(({ server }) => server.kill()))
    },
    cleanup: () => cluster.stop(),
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

stateStoreContract('redis cluster', clusterFixture, redisAvailable())
