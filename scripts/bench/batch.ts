import { eachRound, sized, type Run } from './run.ts'
import { loggedEvents } from './engine.ts'
import { scoredTypes } from '../../features/simulator/payment-events.ts'
import { definitions, modelLoader } from '../../src/app/installation/settings/definitions.ts'
import { names, readConfig, type Config } from '../../src/app/installation/settings/config.ts'
import { assert } from '../../src/base/errors.ts'
import { loopClock } from '../../src/clock/loop-clock.ts'
import { registeredRollout } from '../../src/edges/onnx/load.ts'
import { prometheusMeter } from '../../src/edges/prometheus/meter.ts'
import { stateVersion } from '../../src/engine/states.ts'
import { structuredHeaders } from '../../src/events/event.ts'
import type { LogRecord } from '../../src/ports/log.ts'
import type { Scorer } from '../../src/ports/scorer.ts'
import type { EntityKey, StateStore } from '../../src/ports/states.ts'
import type { Logger } from '../../src/ports/telemetry.ts'
import { EntityStates } from '../../src/process/entity-states.ts'
import { createProcessMetrics } from '../../src/process/metrics.ts'
import { fixedModels } from '../../src/process/models/serving.ts'
import type { Sleeper } from '../../src/process/retry.ts'
import { Turns, underWayMax } from '../../src/process/turns.ts'
import { createPipeline, type Pipeline } from '../../src/process/pipeline.ts'

const fullWarmUpPayments = 20_000
const fullPayments = 40_000
const partitions = 4
const mebibyte = 1024 * 1024

/**
 * Measures the processor's batches alone: states are kept in this process by the rules of the store, and what would be
 * published goes nowhere. What the stream costs more is the work of the log and of the connection to the store.
 */
export async function benchBatch(run: Run): Promise<void> {
  const warmUpPayments = sized(run, fullWarmUpPayments, 2_000)
  const measuredPayments = sized(run, fullPayments, 2_000)
  const config = readConfig({ RIVERBANK_BATCH_RECORDS: process.env['RIVERBANK_BATCH_RECORDS'] ?? '500' })
  const [eventType = ''] = scoredTypes
  const { champion } = await registeredRollout(config.MODELS_DIR, eventType)
  const compiled = definitions(config)
  const model = await modelLoader(config.MODELS_DIR, compiled, eventType)(champion)
  try {
    const records = recordsOf(warmUpPayments + measuredPayments, names(config).topics.events)
    await eachRound(run, 'batch', async () => {
      const pipeline = pipelineOf(config, model)
      const batches = batchesOf(records, config.BATCH_RECORDS)
      const warm = Math.floor((batches.length * warmUpPayments) / (warmUpPayments + measuredPayments))
      await runAll(pipeline, batches.slice(0, warm))
      const measured = batches.slice(warm)
      const before = process.cpuUsage()
      await runAll(pipeline, measured)
      const { user, system } = process.cpuUsage(before)
      const events = measured.reduce((sum, batch) => sum + batch.length, 0)
      run.record(
        { benchmark: 'batch', driver: null, name: 'processor time of a batch, an event', unit: 'µs/event' },
        (user + system) / events,
      )
    })
  } finally {
    await model.close()
  }
}

/** Partitions in turn: a batch of each. */
function batchesOf(records: readonly LogRecord[], batchRecords: number): (readonly LogRecord[])[] {
  const byPartition = Array.from({ length: partitions }, (_, partition) =>
    records.filter((record) => record.partition === partition),
  )
  const batches: LogRecord[][] = []
  for (let from = 0; byPartition.some(({ length }) => length > from); from += batchRecords)
    for (const own of byPartition) if (own.length > from) batches.push(own.slice(from, from + batchRecords))
  return batches
}

async function runAll(pipeline: Pipeline, batches: readonly (readonly LogRecord[])[]): Promise<void> {
  const { signal } = new AbortController()
  const turns = new Turns(underWayMax, clock)
  const waiting = [...batches]
  // As many side by side as there are partitions, as the processor runs them.
  for (let round = waiting.splice(0, partitions); round.length > 0; round = waiting.splice(0, partitions)) {
    await Promise.all(
      round.map(async (records) => {
        const [first] = records
        assert(first !== undefined, 'a batch has records')
        const next = first.offset + records.length
        const batch = { topic: first.topic, partition: first.partition, records, next, end: next }
        const turn = await turns.take(records.length, signal)
        await pipeline(batch, { publishFrom: 0, epoch: 1, applied: -1, isDivisible: true, clock: turn.clock, signal })
        turn.end()
      }),
    )
  }
}

function recordsOf(payments: number, topic: string): LogRecord[] {
  return Array.from(loggedEvents(payments, partitions), ({ bytes, partition, offset, appendTimeMs }) => ({
    topic,
    partition,
    offset,
    appendTimeMs,
    key: null,
    value: bytes,
    headers: structuredHeaders,
  }))
}

function pipelineOf(config: Config, model: Scorer): Pipeline {
  const { plan, catalog, manifest } = definitions(config)
  const meter = prometheusMeter({ processMetrics: false, constantLabels: {} })
  const entities = plan.entities.map(({ name }) => name)
  const metrics = createProcessMetrics(meter, entities, partitions)
  const store = memoryStates()
  const states = new EntityStates({
    store,
    cacheEntries: config.STATE_CACHE_ENTITIES,
    cacheBytes: config.STATE_CACHE_MB * mebibyte,
    roundsMax: 10,
    onWritten: (entity, bytes) => metrics.stateWritten(entity, bytes),
  })
  return createPipeline({
    log: { publish: () => Promise.resolve([]) },
    store,
    states,
    models: new Map(Array.from(scoredTypes, (type) => [type, fixedModels(model)])),
    catalog,
    plan,
    features: manifest.features,
    topics: names(config).topics,
    retry: { attempts: 1, firstDelayMs: 1, maxDelayMs: 1 },
    stallMs: config.STALL_MS,
    clock,
    metrics,
    logger: silent,
  })
}

const clock: Sleeper = { nowMs: () => loopClock.nowMs(), sleep: () => Promise.resolve() }

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
}

/** The store's rules, without a server: compare-and-set by version. */
function memoryStates(): StateStore {
  const blobs = new Map<string, Uint8Array>()
  const nameOf = ({ entity, id }: EntityKey) => `${entity}:${id}`
  const isExpected = (found: Uint8Array | undefined, expected: Uint8Array | null) =>
    found === undefined || expected === null
      ? found === undefined && expected === null
      : Buffer.compare(stateVersion(found), expected) === 0
  return {
    epoch: 1,
    load: (keys) => Promise.resolve(keys.map((key) => blobs.get(nameOf(key)) ?? null)),
    compareAndSet: (writes) =>
      Promise.resolve(
        writes.map(({ key, expected, blob }) => {
          const name = nameOf(key)
          if (!isExpected(blobs.get(name), expected)) return false
          blobs.set(name, blob)
          return true
        }),
      ),
    positions: () => Promise.resolve(new Map()),
    advance: () => Promise.resolve(true),
    layouts: () => Promise.resolve(new Map()),
    keepLayouts: () => Promise.resolve(),
    metadata: () => Promise.resolve(null),
    replaceMetadata: () => Promise.resolve(true),
    close: () => Promise.resolve(),
  }
}
