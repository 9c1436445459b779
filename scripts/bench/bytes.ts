import { encodeState, type EntityState } from '../../src/engine/states.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loggedEvents, applyLogged } from './engine.ts'
import { traffic } from './growth/traffic.ts'
import { quantile, type Metric } from './measurement.ts'
import { sized, type Run } from './run.ts'
import { readConfig } from '../../src/app/installation/settings/config.ts'
import { definitions } from '../../src/app/installation/settings/definitions.ts'
import { startEmbeddedRedis } from '../../src/app/installation/servers/embedded-redis.ts'
import { dayMs } from '../../src/base/units.ts'
import { encodeEvent, type EventCatalog } from '../../src/events/event.ts'
import { createMemoryEngine } from '../../src/engine/memory-engine.ts'
import type { EntityPlan, FeaturePlan } from '../../src/engine/plan.ts'
import { connectRedis } from '../../src/edges/redis/server/connection.ts'
import { openRedisStateStore } from '../../src/edges/redis/states/state-store.ts'
import { pinoLogger } from '../../src/edges/pino/logger.ts'

/** About 60 days of the published data set: more than the longest window and its delay look back. */
const fullPayments = 580_000
/** The states of each entity whose `MEMORY USAGE` is measured. */
const sampleSize = 500
/** An entity keeps no more tiles of one hop. The longest finite windows are of so many days. */
const fullTiles = 4_096
const fullDays = 30
const namespace = 'bench-bytes'
const commandTimeoutMs = 10_000
const redisTimeouts = { startTimeoutMs: 20_000, stopTimeoutMs: 10_000 } as const

/**
 * Measures the cost of an entity in Redis after that history: the state's own bytes, and the server's memory with its
 * key and bookkeeping. The processor's store writes the engine's states. Sizes do not vary from round to round: there
 * is one.
 */
export async function benchBytes(run: Run): Promise<void> {
  const payments = sized(run, fullPayments, 2_000)
  run.say(`bytes: ${payments} payments`)
  const { plan, catalog } = definitions(readConfig({}))
  const engine = createMemoryEngine(plan, { asStored: true })
  let newest = 0
  let oldest = Infinity
  for (const event of loggedEvents(payments)) {
    applyLogged(engine, catalog, [event])
    newest = Math.max(newest, event.appendTimeMs)
    oldest = Math.min(oldest, event.appendTimeMs)
    run.signal.throwIfAborted()
  }
  measureFull(run, plan, catalog)
  const days = Math.round((newest - oldest) / 86_400_000)
  const dir = await mkdtemp(join(tmpdir(), 'riverbank-bench-'))
  const logger = pinoLogger({ level: 'warn', fields: { role: 'bench' } })
  const redis = await startEmbeddedRedis({ dir, maxMemoryBytes: 0, ...redisTimeouts, logger })
  try {
    for (const [index, entity] of plan.entities.entries()) {
      await measureEntity(run, redis.url, entity, engine.states[index] ?? new Map<string, EntityState>(), days)
    }
  } finally {
    await redis.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Measures what a state grows to: one customer pays at one terminal until both have all the tiles that they keep. */
function measureFull(run: Run, plan: FeaturePlan, catalog: EventCatalog): void {
  const payments = sized(run, fullTiles, 100)
  const engine = createMemoryEngine(plan, { asStored: true })
  const startMs = Date.now() - fullDays * dayMs
  const timeMs = (index: number) => startMs + Math.floor((index * fullDays * dayMs) / payments)
  const draw = () => ({ customer: 0, terminal: 0 })
  let offset = 0
  for (const event of traffic({ idPrefix: 'full-', payments, draw, timeMs })) {
    const bytes = new TextEncoder().encode(encodeEvent(event))
    applyLogged(engine, catalog, [{ bytes, partition: 0, offset: offset++, appendTimeMs: event.timestamp }])
  }
  for (const [index, entity] of plan.entities.entries()) {
    for (const state of (engine.states[index] ?? new Map<string, EntityState>()).values()) {
      const name = `${entity.name} after ${payments.toLocaleString('en')} payments in ${fullDays} days, state`
      run.record({ benchmark: 'bytes', driver: null, name, unit: 'bytes' }, encodeState(entity, state).length)
    }
  }
}

type States = ReadonlyMap<string, EntityState>

async function measureEntity(run: Run, url: string, entity: EntityPlan, states: States, days: number): Promise<void> {
  const blobs = [...states].map(([id, state]) => ({ id, blob: encodeState(entity, state) }))
  const store = await openRedisStateStore({ url, namespace, commandTimeoutMs })
  await store.compareAndSet(
    blobs.map(({ id, blob }) => ({ key: { entity: entity.name, id }, expected: null, blob, ttlMs: entity.ttlMs })),
  )
  await store.close()
  const lengths = blobs.map(({ blob }) => blob.length)
  const memory = await memoryOf(url, entity)
  const metric = (name: string): Metric => ({
    benchmark: 'bytes',
    driver: null,
    name: `${entity.name} after ${days} days, ${name}`,
    unit: 'bytes',
  })
  run.record(metric('state, mean'), mean(lengths))
  run.record(metric('state, p99'), quantile(lengths, 0.99))
  run.record(metric('in Redis, mean'), mean(memory))
  run.record({ ...metric('entities'), unit: '' }, blobs.length)
}

/** `MEMORY USAGE` of a sample of the entity's keys. */
async function memoryOf(url: string, entity: EntityPlan): Promise<number[]> {
  const connection = { url, name: namespace, commandTimeoutMs, reconnectMaxDelayMs: 1_000 }
  const redis = await connectRedis(connection, 'state_unavailable')
  try {
    const keys: string[] = []
    for (let cursor = '0'; keys.length < sampleSize;) {
      const [next, found] = await redis.scan(cursor, 'MATCH', `${namespace}:state:{${entity.name}:*`, 'COUNT', 1_000)
      keys.push(...found)
      cursor = next
      if (cursor === '0') break
    }
    const sample = keys.slice(0, sampleSize)
    return await Promise.all(
      sample.map(async (key) => Number(await redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0'))),
    )
  } finally {
    redis.disconnect()
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
