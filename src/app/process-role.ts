import { names, type Config } from './config.ts'
import { definitions, modelLoader, type Definitions } from './definitions.ts'
import { openEventLog, openGenerationStore, openStateStore } from './event-log.ts'
import type { Role, Work } from './role.ts'
import { loopClock } from '../clock/loop-clock.ts'
import { BatchSize } from '../process/batch-size.ts'
import { EntityStates } from '../process/entity-states.ts'
import { Generations } from '../process/generations.ts'
import { createProcessMetrics, type ProcessMetrics } from '../process/metrics.ts'
import { ModelPool } from '../process/model-pool.ts'
import { createPipeline } from '../process/pipeline.ts'
import { createProcessor } from '../process/processor.ts'
import { createServingModels } from '../process/serving.ts'
import { StateMigration } from '../process/state-migration.ts'
import { readRegistry } from '../edges/onnx/load.ts'
import type { ConsumeOptions, EventLog, StateStore } from '../ports.ts'

/** Lost compare-and-sets of one entity in one batch, before the batch is tried again from the start. */
const conflictRoundsMax = 50

/** What a processor talks to. */
export interface ProcessPorts {
  readonly log: EventLog
  readonly store: StateStore
}

/** The processor: events in, states and scores out. `between` may put something between it and its ports. */
export async function startProcess(
  role: Role,
  between: (ports: ProcessPorts) => ProcessPorts = (ports) => ports,
): Promise<Work> {
  const { config, logger, clock, meter } = role
  const compiled = definitions()
  const { plan, catalog, manifest } = compiled
  const { log, store } = between({ log: await openEventLog(config, logger), store: await openStateStore(config) })
  const { topics, groups } = names(config)
  const metrics = createProcessMetrics(
    meter,
    plan.entities.map((entity) => entity.name),
  )
  const committedOf = (topic: string) => log.committed(groups.process, topic)
  const migration = new StateMigration({ store, plan, committed: committedOf, clock, logger })
  const states = new EntityStates({
    store,
    migration,
    cacheEntries: config.STATE_CACHE_ENTITIES,
    roundsMax: conflictRoundsMax,
    onWritten: (entity, bytes) => metrics.stateWritten(entity, bytes),
  })
  const { generations, models, close: closeModels } = await startModels(role, compiled, metrics)
  const retry = { attempts: config.RETRY_ATTEMPTS, firstDelayMs: 20, maxDelayMs: config.RETRY_MAX_DELAY_MS }
  const pipeline = createPipeline({
    log,
    store,
    states,
    models,
    catalog,
    plan,
    features: manifest.features,
    scoredType: compiled.set.scored,
    topics,
    retry,
    clock,
    metrics,
    logger,
  })
  const committed = async (topic: string, partition: number) => (await committedOf(topic)).get(partition) ?? null
  const range = async (topic: string, partition: number) =>
    (await log.describeTopic(topic))?.find((held) => held.partition === partition) ?? null
  const processor = createProcessor({
    pipeline,
    store,
    states,
    migration,
    committed,
    range,
    retry,
    size: batchSize(config, metrics),
    clock,
    metrics,
    logger,
  })
  const consumption = await log.consume(consumeOptions(config), generations.around(processor))
  const ending = new AbortController()
  const following = generations.follow(ending.signal)
  return {
    finished: consumption.finished,
    async stop() {
      await consumption.stop()
      ending.abort()
      await following
      await Promise.allSettled([log.close(), store.close()])
      await closeModels()
    },
  }
}

function batchSize(config: Config, metrics: ProcessMetrics): BatchSize {
  metrics.batchSize(config.BATCH_RECORDS, null)
  return new BatchSize({
    recordsMax: config.BATCH_RECORDS,
    unheardMs: () => loopClock.unheardMs(),
    // The group hears of this member several times in a session, whatever a batch takes.
    unheardMsMax: config.SESSION_TIMEOUT_MS / 4,
    onChange: (records, why) => metrics.batchSize(records, why),
  })
}

function consumeOptions(config: Config): ConsumeOptions {
  const { topics, groups } = names(config)
  return {
    group: groups.process,
    topics: [topics.events],
    maxRecords: config.BATCH_RECORDS,
    maxBytes: config.BATCH_BYTES,
    maxWaitMs: config.FETCH_WAIT_MS,
    sessionTimeoutMs: config.SESSION_TIMEOUT_MS,
    concurrency: config.PARTITIONS,
  }
}

/** The list of generations, and what of it is loaded here. Errors: `model_refused`. */
async function startModels({ config, clock, logger }: Role, compiled: Definitions, metrics: ProcessMetrics) {
  const registry = await readRegistry(config.MODELS_DIR)
  const store = await openGenerationStore(config)
  const pool = new ModelPool(modelLoader(config.MODELS_DIR, compiled))
  const everyMs = config.MODELS_POLL_MS
  const generations = new Generations({ store, pool, registry, everyMs, clock, metrics, logger })
  const close = async () => {
    await pool.close()
    await store.close()
  }
  try {
    await generations.start()
  } catch (error) {
    await close()
    throw error
  }
  const models = createServingModels({ store, pool, begin: () => generations.begin() })
  return { generations, models, close }
}
