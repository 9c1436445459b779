import { assert } from '../../core/errors.ts'
import type { EntityKey, StateStore, StateWrite } from '../../ports.ts'
import { asBuffer, connectRedis, redisFailure, RedisScript } from './connection.ts'

export interface RedisStateStoreOptions {
  readonly url: string
  /** Prefix of every key. */
  readonly namespace: string
  /** A command without an answer for this long counts as failed; whether it ran is then unknown. */
  readonly commandTimeoutMs: number
  /** Longest pause between two attempts to reconnect. Default 1000. */
  readonly reconnectMaxDelayMs?: number
}

/** Keys of one command: the server does nothing else meanwhile, about 7 µs a key. */
const chunkKeys = 500
/** Bytes of one compare-and-set call: a hot entity's state can be large. */
const chunkBytesMax = 4 * 1024 * 1024
/** Sequence and checksum: see the layout of a state blob. Byte 0 is the format. */
const versionFrom = 1
const versionTo = 13

/**
 * KEYS entities. ARGV expected version ('' for none), blob and ttl of each. → 1 or 0 each. A version that is the new one
 * already is a success: the reply to an earlier try was lost. All checks come before the first write: Lua does not
 * roll back, and at the memory limit the script is refused before it starts.
 */
const compareAndSetScript = new RedisScript(`
local answers = {}
for i = 1, #KEYS do
  local found = redis.call('GETRANGE', KEYS[i], ${versionFrom}, ${versionTo - 1})
  local blob = ARGV[3 * i - 1]
  if found == string.sub(blob, ${versionFrom + 1}, ${versionTo}) then
    answers[i] = 2
  else
    answers[i] = found == ARGV[3 * i - 2] and 1 or 0
  end
end
for i = 1, #KEYS do
  if answers[i] == 1 then redis.call('SET', KEYS[i], ARGV[3 * i - 1], 'PX', ARGV[3 * i]) end
end
return answers
`)

/** KEYS positions. ARGV partition, next, least position (-1 for any). → 0 where the position is below that. */
const advanceScript = new RedisScript(`
local found = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '-1')
if found < tonumber(ARGV[3]) then return 0 end
if found < tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
`)

/**
 * Entity states as Redis strings under `<namespace>:state:{<entity>:<id>}`, positions in one hash per topic. Connects
 * before it resolves; rejects with `state_unavailable`. A write treats each key by itself, so that a client for Redis
 * Cluster has only to split the chunks by slot.
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
  let epoch = 1
  redis.on('close', () => {
    epoch += 1
  })
  const keyOf = ({ entity, id }: EntityKey): string => `${namespace}:state:{${entity}:${id}}`
  const positionsKey = (topic: string): string => `${namespace}:positions:${topic}`

  return {
    get epoch() {
      return epoch
    },
    load: (keys) =>
      guarded('loading states', async () => {
        const chunks = chunksOf(keys, () => 0)
        const replies = await Promise.all(chunks.map((chunk) => redis.mgetBuffer(chunk.map(keyOf))))
        return replies.flat()
      }),
    compareAndSet: async (writes) => {
      const names = writes.map((write) => keyOf(write.key))
      assert(new Set(names).size === writes.length, 'one write per entity in a call')
      return guarded('writing states', async () => {
        const chunks = chunksOf(writes, (write) => write.blob.length)
        const replies = await Promise.all(
          chunks.map((chunk) => {
            const chunkNames = chunk.map((write) => keyOf(write.key))
            return compareAndSetScript.run(redis, chunkNames, chunk.flatMap(argumentsOf))
          }),
        )
        return (replies as number[][]).flat().map((answer) => answer > 0)
      })
    },
    positions: (topic) =>
      guarded('reading positions', async () => {
        const found = await redis.hgetall(positionsKey(topic))
        return new Map(Object.entries(found).map(([partition, next]) => [Number(partition), Number(next)]))
      }),
    advance: (topic, partition, next, from = -1) =>
      guarded('advancing a position', async () => {
        return (await advanceScript.run(redis, [positionsKey(topic)], [partition, next, from])) === 1
      }),
    bindFeatureSet: (hash) =>
      guarded('binding the feature set', async () => {
        const key = `${namespace}:feature-set`
        await redis.setnx(key, hash)
        return (await redis.get(key)) ?? hash
      }),
    close: () => {
      redis.disconnect()
      return Promise.resolve()
    },
  }
}

const none = Buffer.alloc(0)

function argumentsOf({ expected, blob, ttlMs }: StateWrite): (Buffer | number)[] {
  return [expected === null ? none : asBuffer(expected), asBuffer(blob), ttlMs]
}

function chunksOf<Item>(items: readonly Item[], bytesOf: (item: Item) => number): Item[][] {
  const chunks: Item[][] = []
  let chunk: Item[] = []
  let bytes = 0
  for (const item of items) {
    if (chunk.length === chunkKeys || (chunk.length > 0 && bytes + bytesOf(item) > chunkBytesMax)) {
      chunks.push(chunk)
      chunk = []
      bytes = 0
    }
    chunk.push(item)
    bytes += bytesOf(item)
  }
  if (chunk.length > 0) chunks.push(chunk)
  return chunks
}

async function guarded<Value>(doing: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw redisFailure('state_unavailable', doing, error)
  }
}
