import { names, type Config } from '../installation/settings/config.ts'
import { acceptedText, refuseContradictions, tellTopicRisks } from '../installation/contradictions.ts'
import { definitions, modelLoader, type Definitions } from '../installation/settings/definitions.ts'
import { openGenerationStores, openStores } from '../installation/servers/event-log.ts'
import type { Ready, Role, Work } from './lifecycle/role.ts'
import { startStateWatch, type StateWatch } from './state-watch.ts'
import { loopClock } from '../../clock/loop-clock.ts'
import { BatchSize } from '../../process/assignment/batch-size.ts'
import { EntityStates } from '../../process/entity-states.ts'
import { Generations } from '../../process/models/generations.ts'
import { Turns, underWayMax } from '../../process/turns.ts'
import { createProcessMetrics, type ProcessMetrics } from '../../process/metrics.ts'
import { ModelPool } from '../../process/models/model-pool.ts'
import { createPipeline } from '../../process/pipeline.ts'
import { createProcessor } from '../../process/processor.ts'
import { createServingModels, type ServingModels } from '../../process/models/serving.ts'
import { StateMigration } from '../../process/assignment/state-migration.ts'
import type { FeaturePlan } from '../../engine/plan.ts'
import { registeredRollout } from '../../edges/onnx/load.ts'
import type { ConsumeOptions, EventLog, GroupHandler } from '../../ports/log.ts'
import { stateMetadata, type StateStore } from '../../ports/states.ts'

/** After so many lost compare-and-sets of one entity, the processor retries the batch from its start. */
const conflictRoundsMax = 50

const mebibyte = 1_048_576

/** The ports that a processor uses. */
export interface ProcessPorts {
  readonly log: EventLog
  readonly store: StateStore
}

/** The processor: reads events, writes states and scores. `between` may put something between it and its ports. */
export async function startProcess(
  role: Role,
  between: (ports: ProcessPorts) => ProcessPorts = (ports) => ports,
): Promise<Work & Ready> {
  const { config, logger, clock, meter } = role
  const compiled = definitions(role.config)
  const { plan, catalog, manifest } = compiled
  const { ports, watch } = await openWatched(role, manifest.hash)
  const { log, store } = between(ports)
  const { topics, groups } = names(config)
  const entities = plan.entities.map(({ name }) => name)
  const metrics = createProcessMetrics(meter, entities, config.PARTITIONS)
  const committedOf = (topic: string) => log.committed(groups.process, topic)
  const { migration, states } = statesOf(role, store, plan, { committedOf, metrics })
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
    topics,
    retry,
    stallMs: config.STALL_MS,
    clock,
    metrics,
    logger,
  })
  const committed = async (topic: string, partition: number) => (await committedOf(topic)).get(partition) ?? null
  const range = async (topic: string, partition: number) => (await log.describeTopic(topic))?.[partition] ?? null
  const processor = createProcessor({
    pipeline,
    store,
    states,
    migration,
    committed,
    range,
    guard: {
      require: () => watch.require(),
      isRefused: () => watch.statesStatus().kind === 'refused',
      waitMs: config.STATES_CHECK_MS,
    },
    trials: true,
    retry,
    size: batchSize(config, metrics),
    turns: new Turns(underWayMax, clock),
    clock,
    metrics,
    logger,
  })
  const handler = generations.reduce((inner: GroupHandler, each) => each.around(inner), processor)
  const consumption = await log.consume(consumeOptions(config), handler)
  const ending = new AbortController()
  const following = Promise.all(generations.map((each) => each.follow(ending.signal)))
  return {
    finished: Promise.race([consumption.finished, watch.failed]),
    ready: () => watch.ready(),
    async stop() {
      await consumption.stop()
      ending.abort()
      await following
      await watch.stop()
      await Promise.allSettled([log.close(), store.close()])
      await closeModels()
    },
  }
}

/** Opens the log and the states of this installation, and a watch on the states. */
async function openWatched(role: Role, featureSet: string): Promise<{ ports: ProcessPorts; watch: StateWatch }> {
  const ports = await openStores(role.config, role.logger)
  await refuseContradictions(role.config, { ...ports, lake: true })
  await tellTopicRisks(role.config, ports.log, role.logger)
  const watch = await startStateWatch({ ...role, ...ports, featureSet })
  // From here on the states belong to this log; another processor may have written so at the same time.
  const isFirst = [
    await ports.store.replaceMetadata(stateMetadata.log, null, role.config.LOG),
    await ports.store.replaceMetadata(stateMetadata.accepts, null, acceptedText(definitions(role.config).set.events)),
  ]
  if (isFirst.includes(false)) await refuseContradictions(role.config, ports)
  return { ports, watch }
}

function statesOf(
  { config, clock, logger }: Role,
  store: StateStore,
  plan: FeaturePlan,
  {
    committedOf,
    metrics,
  }: {
    readonly committedOf: (topic: string) => Promise<ReadonlyMap<number, number>>
    readonly metrics: ProcessMetrics
  },
): { readonly migration: StateMigration; readonly states: EntityStates } {
  const migration = new StateMigration({ store, plan, committed: committedOf, clock, logger })
  const states = new EntityStates({
    store,
    migration,
    cacheEntries: config.STATE_CACHE_ENTITIES,
    cacheBytes: config.STATE_CACHE_MB * mebibyte,
    roundsMax: conflictRoundsMax,
    onWritten: (entity, bytes) => metrics.stateWritten(entity, bytes),
  })
  return { migration, states }
}

function batchSize(config: Config, metrics: ProcessMetrics): BatchSize {
  metrics.batchSize(config.BATCH_RECORDS, null)
  return new BatchSize({
    recordsMax: config.BATCH_RECORDS,
    unheardMs: () => loopClock.unheardMs(),
    // The member reports to the group several times in a session, however long a batch takes.
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

/** By scored type: the list of generations, and the rollouts of it that are loaded here. Errors: `model_refused`. */
async function startModels({ config, clock, logger }: Role, compiled: Definitions, metrics: ProcessMetrics) {
  const stores = await openGenerationStores(config, compiled.scoreForms.keys())
  const pools: ModelPool[] = []
  const generations: Generations[] = []
  const models = new Map<string, ServingModels>()
  const close = async () => {
    for (const pool of pools) await pool.close()
    for (const store of stores.values()) await store.close()
  }
  try {
    for (const [eventType, store] of stores) {
      const registry = await registeredRollout(config.MODELS_DIR, eventType)
      const pool = new ModelPool(modelLoader(config.MODELS_DIR, compiled, eventType))
      pools.push(pool)
      const everyMs = config.MODELS_POLL_MS
      const own = new Generations({
        store,
        pool,
        registry,
        everyMs,
        clock,
        metrics,
        logger: logger.child({ eventType }),
      })
      await own.start()
      generations.push(own)
      models.set(eventType, createServingModels({ store, pool, begin: () => own.begin() }))
    }
  } catch (error) {
    await close()
    throw error
  }
  return { generations, models, close }
}
