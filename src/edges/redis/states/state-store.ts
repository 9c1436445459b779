import type { Redis } from 'ioredis'
import type { EntityKey, StateStore } from '../../../ports/states.ts'
import { connectRedis, redisFailure, refuseClusterNode } from '../server/connection.ts'
import { fieldsOf, layoutsIn } from './layout-fields.ts'
import { newIncarnation, positionsIn, StoreIncarnations } from './store-incarnations.ts'
import {
  advanced,
  advanceScript,
  checkWrites,
  chunksOf,
  compareAndSetScript,
  packWrites,
  replaceMetadataScript,
  writesMade,
} from './state-scripts.ts'

export interface RedisStateStoreOptions {
  readonly url: string
  /** Prefix of every key. */
  readonly namespace: string
  /** A command without an answer for this long counts as failed; whether it ran is then unknown. */
  readonly commandTimeoutMs: number
  /** Longest pause between two attempts to reconnect. Default 1000. */
  readonly reconnectMaxDelayMs?: number
}

/**
 * Entity states as Redis strings under `<namespace>:state:{<entity>:<id>}`, positions in one hash per topic. Connects
 * before it resolves; rejects with `state_unavailable`, and with `invalid_config` for a node of a cluster.
 */
export async function openRedisStateStore(options: RedisStateStoreOptions): Promise<StateStore> {
  const { namespace, commandTimeoutMs } = options
  const connection = {
    url: options.url,
    name: `${namespace}:state`,
    commandTimeoutMs,
    reconnectMaxDelayMs: options.reconnectMaxDelayMs ?? 1_000,
  }
  const redis = await connectRedis(connection, 'state_unavailable')
  await refuseClusterNode(redis, 'state_unavailable', 'name it as redis+cluster://host:port,host:port')
  return statesOn(redis, namespace)
}

/** States over a connection. It tracks store incarnations itself, whatever else uses the connection. */
export function statesOn(redis: Redis, namespace: string): StateStore {
  let connections = 1
  redis.on('close', () => {
    connections += 1
  })
  const incarnations = new StoreIncarnations()
  const keyOf = ({ entity, id }: EntityKey): string => `${namespace}:state:{${entity}:${id}}`
  const metadataKey = (name: string): string => `${namespace}:memo:${name}`
  const positionsKey = (topic: string): string => `${namespace}:positions:${topic}`

  return {
    get epoch() {
      return connections + incarnations.ended
    },
    load: (keys) =>
      guarded('loading states', async () => {
        const chunks = chunksOf(keys, () => 0)
        const replies = await Promise.all(chunks.map((chunk) => redis.mgetBuffer(chunk.map(keyOf))))
        return replies.flat()
      }),
    compareAndSet: async (writes) => {
      const names = writes.map((write) => keyOf(write.key))
      checkWrites(names, writes)
      return guarded('writing states', async () => {
        let from = 0
        const chunks = chunksOf(writes, (write) => write.blob.length)
        const replies = await Promise.all(
          chunks.map((chunk) => {
            const chunkNames = names.slice(from, from + chunk.length)
            from += chunk.length
            return compareAndSetScript.run(redis, chunkNames, [packWrites(chunk)])
          }),
        )
        return replies.flatMap(writesMade)
      })
    },
    positions: (topic) =>
      guarded('reading positions', async () => {
        const key = positionsKey(topic)
        const { incarnation, positions } = positionsIn(Object.entries(await redis.hgetall(key)).flat())
        incarnations.met(key, incarnation)
        return positions
      }),
    advance: (topic, partition, next, from = -1) =>
      guarded('advancing a position', async () => {
        const key = positionsKey(topic)
        const args = [partition, next, from, incarnations.of(key), newIncarnation()]
        const { raised, incarnation } = advanced(await advanceScript.run(redis, [key], args))
        incarnations.met(key, incarnation)
        return raised
      }),
    layouts: () =>
      guarded('reading layouts', async () => layoutsIn(Object.entries(await redis.hgetall(`${namespace}:layouts`)))),
    keepLayouts: (layouts) =>
      guarded('keeping layouts', async () => {
        if (layouts.size > 0) await redis.hset(`${namespace}:layouts`, new Map(fieldsOf(layouts)))
      }),
    metadata: (name) => guarded('reading a memo', () => redis.get(metadataKey(name))),
    replaceMetadata: (name, before, after) =>
      guarded('writing a memo', async () => {
        return (await replaceMetadataScript.run(redis, [metadataKey(name)], [before ?? '', after ?? ''])) === 1
      }),
    close: () => {
      redis.disconnect()
      return Promise.resolve()
    },
  }
}

async function guarded<Value>(doing: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw redisFailure('state_unavailable', doing, error)
  }
}
