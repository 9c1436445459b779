import type { Redis } from 'ioredis'
import { ClusterNodes } from '../cluster/cluster-nodes.ts'
import { connectRedis, redisFailure, refuseClusterNode } from './connection.ts'

/** Properties of a server that matter for states; empty strings for those that it does not report (a managed one). */
export interface RedisFacts {
  readonly version: string
  readonly maxmemoryPolicy: string
  readonly appendonly: string
  readonly appendfsync: string
}

export interface ClusterFacts {
  /** `ok`, or another state of the cluster that the first primary reports. */
  readonly state: string
  /** Of 16,384; a hash slot that no node serves stops every batch. */
  readonly hashSlotsServed: number
  /** By address. */
  readonly primaries: ReadonlyMap<string, RedisFacts>
  /** The number of connected replicas of all primaries. */
  readonly replicas: number
}

/** Connects once and asks. Changes nothing. Rejects with `state_unavailable`, `invalid_config` for a cluster's node. */
export async function probeRedis(url: string, timeoutMs: number): Promise<RedisFacts> {
  const redis = await connectRedis({ url, ...connection(timeoutMs) }, 'state_unavailable')
  await refuseClusterNode(redis, 'state_unavailable', 'name a cluster as redis+cluster://host:port,host:port')
  try {
    return await factsOf(redis)
  } finally {
    redis.disconnect()
  }
}

/** Like {@link probeRedis}, of every primary; `invalid_config` when the seeds are no cluster. */
export async function probeCluster(seeds: readonly string[], timeoutMs: number): Promise<ClusterFacts> {
  const nodes = await ClusterNodes.connect({ seeds, ...connection(timeoutMs) })
  try {
    const found = [...nodes.primaries()]
    const facts = await Promise.all(found.map(async ([address, node]) => [address, await factsOf(node)] as const))
    const replicas = await Promise.all(found.map(async ([, node]) => field(await node.info('replication'), slaves)))
    const told = String(await found[0]?.[1].cluster('INFO'))
    return {
      state: field(told, 'cluster_state'),
      hashSlotsServed: Number(field(told, 'cluster_slots_ok')),
      primaries: new Map(facts),
      replicas: replicas.reduce((sum, count) => sum + Number(count), 0),
    }
  } catch (error) {
    throw redisFailure('state_unavailable', 'asking the cluster', error)
  } finally {
    nodes.close()
  }
}

const slaves = 'connected_slaves'

function connection(timeoutMs: number) {
  return { name: 'riverbank:doctor', commandTimeoutMs: timeoutMs, reconnectMaxDelayMs: timeoutMs }
}

async function factsOf(redis: Redis): Promise<RedisFacts> {
  // CONFIG is forbidden on many managed servers; INFO is not.
  const appendfsync: unknown = await redis.config('GET', 'appendfsync').catch(() => [])
  const info = await redis.info()
  const valkey = field(info, 'valkey_version')
  return {
    version: valkey === '' ? field(info, 'redis_version') : `valkey ${valkey}`,
    maxmemoryPolicy: field(info, 'maxmemory_policy'),
    appendonly: field(info, 'aof_enabled') === '1' ? 'yes' : 'no',
    appendfsync: Array.isArray(appendfsync) && typeof appendfsync[1] === 'string' ? appendfsync[1] : '',
  }
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''
}
