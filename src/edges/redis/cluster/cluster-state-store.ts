import { assert } from '../../../base/errors.ts'
import type { EntityKey, StateStore, StateWrite } from '../../../ports/states.ts'
import { ClusterNodes } from './cluster-nodes.ts'
import { redisFailure } from '../server/connection.ts'
import { fieldsOf, layoutsIn } from '../states/layout-fields.ts'
import { HashSlotCaller, type HashSlotCall, type HashSlotCommand } from './hash-slot-caller.ts'
import { bucketOf, stateBuckets, type StateBucket } from '../states/state-buckets.ts'
import { newIncarnation, positionsIn, StoreIncarnations } from '../states/store-incarnations.ts'
import {
  advanced,
  advanceScript,
  checkWrites,
  chunksOf,
  compareAndSetScript,
  packWrites,
  replaceMetadataScript,
  writesMade,
  type Advanced,
} from '../states/state-scripts.ts'
import { bufferOrNullIn, buffersIn, listIn } from '../server/reply.ts'

export interface ClusterStateStoreOptions {
  /** URLs of the first nodes; at least one. */
  readonly seeds: readonly string[]
  /** Prefix of every key. */
  readonly namespace: string
  /** A command without an answer for this long counts as failed; whether it ran is then unknown. */
  readonly commandTimeoutMs: number
  /** Longest pause between two attempts to reconnect. Default 1000. */
  readonly reconnectMaxDelayMs?: number
}

/** The key of an entity's state on a cluster. */
export function clusterStateKey(namespace: string, key: EntityKey): string {
  return stateKey(namespace, bucketOf(key), key)
}

function stateKey(namespace: string, { tag }: StateBucket, { entity, id }: EntityKey): string {
  return `${namespace}:state:{${tag}}:${entity}:${id}`
}

/** One key of a call, and its place in the caller's list. */
interface Placed<Value> {
  readonly index: number
  readonly key: string
  readonly value: Value
}

const loading: HashSlotCommand<Placed<EntityKey>, Buffer | null> = {
  encode: (items) => ['MGET', items.map(({ key }) => key)],
  decode: (reply) => listIn(reply).map(bufferOrNullIn),
}

const writing: HashSlotCommand<Placed<StateWrite>, boolean> = {
  encode: (items, script) => {
    const keys = items.map(({ key }) => key)
    return compareAndSetScript.command(keys, [packWrites(items.map(({ value }) => value))], script)
  },
  decode: writesMade,
}

/** Field and value in turn. */
const readingPositions: HashSlotCommand<string, Buffer[]> = {
  encode: (keys) => ['HGETALL', [...keys]],
  decode: (reply) => [buffersIn(reply)],
}

/**
 * Entity states on a Redis Cluster: `<namespace>:state:{<bucket>}:<entity>:<id>`. A node that lost its newest writes
 * lost states without a trace, so each bucket has its own position, written after its states and lost with them; the
 * lowest of them is that of the store. Connects to all primaries before it resolves; rejects with `state_unavailable`,
 * and with `invalid_config` when there is no cluster.
 */
export async function openClusterStateStore(options: ClusterStateStoreOptions): Promise<StateStore> {
  const { seeds, namespace, commandTimeoutMs } = options
  const nodes = await ClusterNodes.connect({
    seeds,
    name: `${namespace}:state`,
    commandTimeoutMs,
    reconnectMaxDelayMs: options.reconnectMaxDelayMs ?? 1_000,
  })
  const caller = new HashSlotCaller(nodes)
  const incarnations = new StoreIncarnations()
  const positionCalls = (topic: string): HashSlotCall<string>[] =>
    stateBuckets.map(({ tag, hashSlot }) => ({ hashSlot, items: [`${namespace}:positions:{${tag}}:${topic}`] }))

  return {
    get epoch() {
      return nodes.epoch + incarnations.ended
    },
    load: (keys) =>
      guarded('loading states', () => {
        const bytesOf = () => 0
        return byBucket(caller, loading, namespace, keys, (key) => key, bytesOf)
      }),
    compareAndSet: async (writes) => {
      const names = writes.map(({ key }) => `${key.entity}:${key.id}`)
      checkWrites(names, writes)
      return guarded('writing states', async () => {
        const bytesOf = ({ blob }: StateWrite) => blob.length
        return byBucket(caller, writing, namespace, writes, ({ key }) => key, bytesOf)
      })
    },
    positions: (topic) =>
      guarded('reading positions', async () => {
        const calls = positionCalls(topic)
        const found = (await caller.run(readingPositions, calls)).map(([fields]) => positionsIn(fields ?? []))
        for (const [i, { items }] of calls.entries()) incarnations.met(items[0] ?? '', found[i]?.incarnation ?? '')
        return lowest(found.map(({ positions }) => positions))
      }),
    advance: (topic, partition, next, from = -1) =>
      guarded('advancing a position', async () => {
        const advancing: HashSlotCommand<string, Advanced> = {
          encode: (keys, script) =>
            advanceScript.command(
              keys,
              [partition, next, from, incarnations.of(keys[0] ?? ''), newIncarnation()],
              script,
            ),
          decode: (reply) => [advanced(reply)],
        }
        const calls = positionCalls(topic)
        const replies = (await caller.run(advancing, calls)).flat()
        for (const [i, { items }] of calls.entries()) incarnations.met(items[0] ?? '', replies[i]?.incarnation ?? '')
        return replies.every(({ raised }) => raised)
      }),
    layouts: () => guarded('reading layouts', () => keptLayouts(caller, namespace)),
    keepLayouts: (layouts) => guarded('keeping layouts', () => keep(caller, namespace, layouts)),
    metadata: (name) =>
      guarded('reading a memo', async () => {
        const [[found] = []] = await caller.run(readingMetadata, [metadataCall(namespace, name)])
        return found?.toString() ?? null
      }),
    replaceMetadata: (name, before, after) =>
      guarded('writing a memo', () => replaceMetadata(caller, metadataCall(namespace, name), before, after)),
    close: () => {
      nodes.close()
      return Promise.resolve()
    },
  }
}

/** Runs a command over entities, one call for each bucket (or several); answers in the order of the values. */
async function byBucket<Value, Answer>(
  caller: HashSlotCaller,
  command: HashSlotCommand<Placed<Value>, Answer>,
  namespace: string,
  values: readonly Value[],
  entityOf: (value: Value) => EntityKey,
  bytesOf: (value: Value) => number,
): Promise<Answer[]> {
  const buckets = new Map<StateBucket, Placed<Value>[]>()
  for (const [index, value] of values.entries()) {
    const entity = entityOf(value)
    const bucket = bucketOf(entity)
    const placed = { index, key: stateKey(namespace, bucket, entity), value }
    const known = buckets.get(bucket)
    if (known === undefined) buckets.set(bucket, [placed])
    else known.push(placed)
  }
  const calls = [...buckets].flatMap(([{ hashSlot }, placed]) =>
    chunksOf(placed, ({ value }) => bytesOf(value)).map((items) => ({ hashSlot, items })),
  )
  const replies = await caller.run(command, calls)
  const answers = new Array<Answer>(values.length)
  for (const [i, { items }] of calls.entries()) {
    const reply = replies[i] ?? []
    assert(reply.length === items.length, 'one answer for each key')
    for (const [at, answer] of reply.entries()) answers[items[at]?.index ?? 0] = answer
  }
  return answers
}

const readingMetadata: HashSlotCommand<string, Buffer | null> = {
  encode: (keys) => ['GET', [...keys]],
  decode: (reply) => [bufferOrNullIn(reply)],
}

async function replaceMetadata(
  caller: HashSlotCaller,
  call: HashSlotCall<string>,
  before: string | null,
  after: string | null,
): Promise<boolean> {
  const replacing: HashSlotCommand<string, unknown> = {
    encode: (keys, script) => replaceMetadataScript.command(keys, [before ?? '', after ?? ''], script),
    decode: (reply) => [reply],
  }
  const [[answer] = []] = await caller.run(replacing, [call])
  return answer === 1
}

/** The first bucket holds all store metadata. */
function metadataCall(namespace: string, name: string): HashSlotCall<string> {
  const [bucket] = stateBuckets
  assert(bucket !== undefined, 'there are buckets')
  return { hashSlot: bucket.hashSlot, items: [`${namespace}:memo:{${bucket.tag}}:${name}`] }
}

function layoutCalls(namespace: string): HashSlotCall<string>[] {
  return stateBuckets.map(({ tag, hashSlot }) => ({ hashSlot, items: [`${namespace}:layouts:{${tag}}`] }))
}

/** Writes layouts to every bucket: a node that loses its layouts has lost the states that name them, too. */
async function keep(caller: HashSlotCaller, namespace: string, layouts: ReadonlyMap<number, string>): Promise<void> {
  if (layouts.size === 0) return
  const keeping: HashSlotCommand<string, unknown> = {
    encode: (keys) => ['HSET', [...keys, ...fieldsOf(layouts).flat()]],
    decode: (reply) => [reply],
  }
  await caller.run(keeping, layoutCalls(namespace))
}

async function keptLayouts(caller: HashSlotCaller, namespace: string): Promise<Map<number, string>> {
  const replies = await caller.run(readingPositions, layoutCalls(namespace))
  const fields = new Map<string, string>()
  for (const [found = []] of replies) {
    for (let i = 0; i + 1 < found.length; i += 2) fields.set(String(found[i]), String(found[i + 1]))
  }
  return layoutsIn(fields)
}

/** The lowest position of each partition; none if a bucket lacks it: that one lost everything. */
function lowest(buckets: readonly ReadonlyMap<number, number>[]): Map<number, number> {
  const [first = new Map<number, number>()] = buckets
  const found = new Map<number, number>()
  for (const partition of first.keys()) {
    const positions = buckets.flatMap((bucket) => bucket.get(partition) ?? [])
    if (positions.length === buckets.length) found.set(partition, Math.min(...positions))
  }
  return found
}

async function guarded<Value>(doing: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw redisFailure('state_unavailable', doing, error)
  }
}
