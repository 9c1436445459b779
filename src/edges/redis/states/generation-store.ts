import {
  generationSchema,
  refusalSchema,
  type Activation,
  type Generation,
} from '../../../scoring/rollout/generation.ts'
import type { GenerationStore } from '../../../ports/generations.ts'
import { ClusterNodes } from '../cluster/cluster-nodes.ts'
import { connectRedis, redisFailure, refuseClusterNode, type Argument, type RedisScript } from '../server/connection.ts'
import { activateScript, activationsScript, appendScript } from './generation-scripts.ts'
import { HashSlotCaller } from '../cluster/hash-slot-caller.ts'
import { stateBuckets } from './state-buckets.ts'
import { itemAt } from '../../../base/arrays.ts'
import { buffersIn } from '../server/reply.ts'

export interface GenerationStoreOptions {
  /** Prefix of every key: that of the states. */
  readonly namespace: string
  /** The type of the events that the models score: each has a list of its own. */
  readonly eventType: string
  readonly commandTimeoutMs: number
  /** Longest pause between two attempts to reconnect. Default 1000. */
  readonly reconnectMaxDelayMs?: number
}

/** One server, or the node of a cluster that has the slot of all these keys. */
interface GenerationConnection {
  command(name: string, args: readonly Argument[]): Promise<unknown>
  script(script: RedisScript, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
  readonly keys: Keys
  close(): void
}

interface Keys {
  readonly generations: string
  readonly refusals: string
  activations(topic: string, partition: number): string
  /** The state store's key of a topic's positions; on a cluster, that of the bucket with the other keys. */
  positions(topic: string): string
}

/**
 * Opens the store beside the states of a single server. Connects before it resolves; rejects with `state_unavailable`.
 */
export async function openRedisGenerationStore(
  options: GenerationStoreOptions & { readonly url: string },
): Promise<GenerationStore> {
  const { namespace, eventType } = options
  const redis = await connectRedis({ ...connectionOf(options), url: options.url }, 'state_unavailable')
  await refuseClusterNode(redis, 'state_unavailable', 'name it as redis+cluster://host:port,host:port')
  const prefix = `${namespace}:models:${eventType}`
  return createStore({
    command: (name, args) => redis.callBuffer(name, [...args]),
    script: (script, keys, args) => script.run(redis, keys, args),
    keys: {
      generations: `${prefix}:generations`,
      refusals: `${prefix}:refusals`,
      activations: (topic, partition) => `${prefix}:activations:${topic}:${partition}`,
      positions: (topic) => `${namespace}:positions:${topic}`,
    },
    close: () => redis.disconnect(),
  })
}

/**
 * Opens the store on a cluster, where one bucket of the states holds everything: a script needs one hash slot, and a
 * loss of the bucket loses its positions too. An advance reaches every bucket before it answers, so one bucket's
 * position is enough.
 */
export async function openClusterGenerationStore(
  options: GenerationStoreOptions & { readonly seeds: readonly string[] },
): Promise<GenerationStore> {
  const { namespace, eventType, seeds } = options
  const [bucket] = stateBuckets
  if (bucket === undefined) throw new Error('there are buckets')
  const nodes = await ClusterNodes.connect({ ...connectionOf(options), seeds })
  const caller = new HashSlotCaller(nodes)
  const { tag, hashSlot } = bucket
  const prefix = `${namespace}:models:{${tag}}:${eventType}`
  const run = async (encode: (how: 'by hash' | 'in full') => readonly [string, Argument[]]): Promise<unknown> => {
    const [[reply] = []] = await caller.run(
      { encode: (_items: readonly null[], how) => encode(how), decode: (answer) => [answer] },
      [{ hashSlot, items: [null] }],
    )
    return reply
  }
  return createStore({
    command: (name, args) => run(() => [name, [...args]]),
    script: (script, keys, args) => run((how) => script.command(keys, args, how)),
    keys: {
      generations: `${prefix}:generations`,
      refusals: `${prefix}:refusals`,
      activations: (topic, partition) => `${prefix}:activations:${topic}:${partition}`,
      positions: (topic) => `${namespace}:positions:{${tag}}:${topic}`,
    },
    close: () => nodes.close(),
  })
}

function connectionOf({ namespace, commandTimeoutMs, reconnectMaxDelayMs = 1_000 }: GenerationStoreOptions) {
  return { name: `${namespace}:models`, commandTimeoutMs, reconnectMaxDelayMs }
}

function createStore(place: GenerationConnection): GenerationStore {
  const { keys } = place
  const command: GenerationConnection['command'] = (name, args) => place.command(name, args)
  const script: GenerationConnection['script'] = (lua, names, args) => place.script(lua, names, args)
  return {
    generations: (limit) =>
      guarded('reading generations', async () => {
        const found = await command('LRANGE', [keys.generations, -limit, -1])
        return buffersIn(found).map(generationOf)
      }),
    append: (generation) =>
      guarded('appending a generation', async () => {
        // The schema orders the members: equal generations are equal texts.
        const text = JSON.stringify(generationSchema.parse(generation))
        return (await script(appendScript, [keys.generations], [generation.number - 1, text])) === 1
      }),
    activate: (topic, partition, number) =>
      guarded('activating a generation', async () => {
        const places = [keys.generations, keys.activations(topic, partition), keys.positions(topic)]
        const entry = String(await script(activateScript, places, [number, partition]))
        if (entry === '') return null
        const [generation, offset] = entry.split(' ')
        return { generation: Number(generation), offset: Number(offset) }
      }),
    activations: (topic, partition, from) =>
      guarded('reading activations', async () => {
        const places = [keys.generations, keys.activations(topic, partition)]
        return activationsIn(buffersIn(await script(activationsScript, places, [from])))
      }),
    refuse: (generation, refusal) =>
      guarded('noting a refusal', async () => {
        await command('HSET', [keys.refusals, generation, JSON.stringify(refusal)])
      }),
    refusals: () =>
      guarded('reading refusals', async () => {
        const fields = buffersIn(await command('HGETALL', [keys.refusals]))
        const found = new Map<number, ReturnType<typeof refusalSchema.parse>>()
        for (let i = 0; i + 1 < fields.length; i += 2) {
          found.set(Number(fields[i]), refusalSchema.parse(JSON.parse(String(fields[i + 1]))))
        }
        return found
      }),
    close: () => {
      place.close()
      return Promise.resolve()
    },
  }
}

function activationsIn(replies: readonly Buffer[]): Activation[] {
  const found: Activation[] = []
  for (let i = 0; i + 1 < replies.length; i += 2) {
    const text = itemAt(replies, i + 1)
    // An activation outlived its generation: the generation of no offset is known.
    if (text.length === 0) return []
    found.push({ offset: Number(replies[i]), generation: generationOf(text) })
  }
  return found
}

function generationOf(text: Buffer): Generation {
  return generationSchema.parse(JSON.parse(text.toString()))
}

async function guarded<Value>(doing: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw redisFailure('state_unavailable', doing, error)
  }
}
