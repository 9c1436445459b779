import { names } from './config.ts'
import { bindStates, definitions, loadModel, serviceOf } from './definitions.ts'
import { openEventLog, openStateStore } from './event-log.ts'
import type { Role, Work } from './role.ts'
import { EntityStates } from '../process/entity-states.ts'
import { createExplain } from '../process/explain.ts'
import { createProcessMetrics } from '../process/metrics.ts'
import { createPipeline } from '../process/pipeline.ts'
import { createProcessor } from '../process/processor.ts'
import type { EventLog, StateStore } from '../ports.ts'

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
  const scorer = await loadModel(config.MODELS_DIR, compiled)
  if (scorer.explanations?.kind === 'unavailable') {
    logger.warn('decisions of this model come without reasons', { reason: scorer.explanations.reason })
  }
  const { log, store } = between({ log: await openEventLog(config, logger), store: await openStateStore(config) })
  await bindStates(store, compiled)
  const { topics, groups } = names(config)
  const metrics = createProcessMetrics(
    meter,
    plan.entities.map((entity) => entity.name),
  )
  const states = new EntityStates({
    store,
    cacheEntries: config.STATE_CACHE_ENTITIES,
    roundsMax: conflictRoundsMax,
    onWritten: (entity, bytes) => metrics.stateWritten(entity, bytes),
  })
  const service = serviceOf(compiled, scorer)
  const retry = { attempts: config.RETRY_ATTEMPTS, firstDelayMs: 20, maxDelayMs: config.RETRY_MAX_DELAY_MS }
  const pipeline = createPipeline({
    log,
    store,
    states,
    scorer,
    catalog,
    plan,
    service,
    explain: createExplain(service, manifest.features),
    scoredType: compiled.set.scored,
    topics,
    retry,
    clock,
    metrics,
    logger,
  })
  const committed = async (topic: string, partition: number) =>
    (await log.committed(groups.process, topic)).get(partition) ?? null
  const range = async (topic: string, partition: number) =>
    (await log.describeTopic(topic))?.find((held) => held.partition === partition) ?? null
  const processor = createProcessor({ pipeline, store, states, committed, range, retry, clock, metrics, logger })
  const consumption = await log.consume(
    {
      group: groups.process,
      topics: [topics.events],
      maxRecords: config.BATCH_RECORDS,
      maxBytes: config.BATCH_BYTES,
      maxWaitMs: config.FETCH_WAIT_MS,
      sessionTimeoutMs: config.SESSION_TIMEOUT_MS,
      concurrency: config.PARTITIONS,
    },
    processor,
  )
  return {
    finished: consumption.finished,
    async stop() {
      await consumption.stop()
      await Promise.allSettled([log.close(), store.close()])
      await scorer.close()
    },
  }
}
