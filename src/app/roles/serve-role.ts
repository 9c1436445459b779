import { names, stateLocation, type Config } from '../installation/settings/config.ts'
import { refuseContradictions } from '../installation/contradictions.ts'
import { definitions, type Definitions } from '../installation/settings/definitions.ts'
import { scoredTypeOfModels } from '../installation/scored-type.ts'
import { openEventLog, openGenerationStores, openStateStore } from '../installation/servers/event-log.ts'
import { lakeFolder } from '../installation/lake/lake-folder.ts'
import { openLookups, scoreTypesOf, type Lookups } from './lookups.ts'
import { modelExplanations } from './model-explanations.ts'
import { openSql } from '../installation/lake/open-sql.ts'
import type { Role, Work } from './lifecycle/role.ts'
import { startStateWatch, type StateWatch } from './state-watch.ts'
import { programVersion } from '../installation/settings/version.ts'
import { openLake } from '../../lake/commit/lake.ts'
import type { GenerationStore } from '../../ports/generations.ts'
import type { EventLog } from '../../ports/log.ts'
import type { StateStore } from '../../ports/states.ts'
import { createApp } from '../../serve/http/app.ts'
import type { ReadinessProbe } from '../../serve/http/dependencies.ts'
import { createModelAdministration, type ModelAdministration } from '../../serve/models/model-administration.ts'
import { serveLimits } from '../../serve/http/limits.ts'
import { listen, listenTimeouts } from '../../serve/http/listen.ts'
import { ScoreHub, scoreHubLimits } from '../../serve/scores/score-hub.ts'
import { recentScores } from '../../serve/scores/score-tail.ts'
import { sharedLoads } from '../../serve/features/shared-loads.ts'
import { createFeatureReader, createKnownEvents } from '../../serve/features/state-reader.ts'

export type ServeWork = Work & { readonly url: string }

/** The HTTP role. It can read everything it holds again from log, states and lake. */
export async function startServe(role: Role): Promise<ServeWork> {
  const { config, logger, clock, meter } = role
  const compiled = definitions(role.config)
  const { plan, catalog, manifest } = compiled
  const log = await openEventLog(config, logger)
  const store = await openStateStore(config)
  await refuseContradictions(config, { log, store, lake: true })
  const generations = await openGenerationStores(config, compiled.scoreForms.keys())
  const { topics } = names(config)
  const lake = await openLake({ dir: lakeFolder(config), clock })
  const watch = await startStateWatch({ ...role, log, store, featureSet: manifest.hash })
  const lookups = await openLookups(role, { log, lake, definitions: compiled })
  const { hub, tail } = await startHub(role, log, lookups, scoreTypesOf(compiled))
  const sqlLimits = { memoryMb: config.SQL_MEMORY_MB, maxRows: config.SQL_MAX_ROWS }
  const sql = openSql(config, () => Promise.resolve(compiled.lakeSchema), sqlLimits)
  const app = createApp({
    log,
    eventsTopic: topics.events,
    scoresTopic: topics.scores,
    catalog,
    scoreForms: compiled.scoreForms,
    knownEvents: createKnownEvents(store, plan, clock),
    features: createFeatureReader(forManyReaders(config, store), plan, clock, watch),
    featureSet: manifest,
    project: { name: config.project.definition.name, scored: config.project.definition.samples.scored },
    hub,
    spool: lookups.spool,
    ledger: lookups.ledger,
    lake: lookups.lake,
    explanations: modelExplanations(config.MODELS_DIR),
    sql,
    models: administrationOf(role, compiled, generations),
    probes: [...probes(log, watch, topics.events), rolesProbe(role), ...readerProbes(config, log)],
    clock,
    meter,
    logger,
    apiKey: config.API_KEY === '' ? null : config.API_KEY,
    version: programVersion(),
    limits: serveLimits,
  })
  const listening = await listen({
    app,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    hasApiKey: config.API_KEY !== '',
    drainMs: Math.floor(config.DRAIN_MS / 2),
    endStreams: () => {
      hub.close()
    },
    logger,
    timeouts: listenTimeouts,
  })
  logger.info('listening', { url: listening.url })
  return {
    url: listening.url,
    finished: Promise.race([tail.finished, lookups.finished, watch.failed]),
    async stop() {
      await listening.stop()
      await tail.stop()
      await lookups.close()
      await watch.stop()
      await Promise.allSettled([
        log.close(),
        store.close(),
        ...[...generations.values()].map((each) => each.close()),
        sql.close(),
      ])
    },
  }
}

/** Requests share loads of one server. Of the nodes of a cluster one may fail while the others answer. */
function forManyReaders(config: Config, store: StateStore): Pick<StateStore, 'load' | 'layouts'> {
  return stateLocation(config).kind === 'server' ? sharedLoads(store) : store
}

function administrationOf(
  { config, clock }: Role,
  { manifest }: Definitions,
  stores: ReadonlyMap<string, GenerationStore>,
): ModelAdministration {
  return createModelAdministration({
    stores,
    typeOf: scoredTypeOfModels(config.MODELS_DIR, manifest),
    topic: names(config).topics.events,
    partitions: config.PARTITIONS,
    clock,
  })
}

/** Holds the newest scores in memory; the older ones, also those from before this start, go to this machine's disk. */
async function startHub({ config, meter }: Role, log: EventLog, lookups: Lookups, types: ReadonlySet<string>) {
  const topic = names(config).topics.scores
  const recent = await recentScores(log, { topic, records: config.RECENT_SCORES })
  const { ledger, spool } = lookups
  const hub = new ScoreHub({
    ...scoreHubLimits,
    types,
    capacity: config.RECENT_SCORES,
    bytesMax: config.RECENT_SCORES_MB * 1_048_576,
    lagMax: config.STREAM_QUEUE,
    recent,
    onObserved: (observed) => ledger.settle(observed),
    meter,
  })
  const tail = await log.tail({ topic, from: recent.from, maxRecords: 2_000, maxWaitMs: 500 }, (batch) =>
    spool.add(hub.accept(batch)),
  )
  await lookups.readHistory(recent.from)
  return { hub, tail }
}

/**
 * Advisory: this role answers requests and accepts events without the others, so a balancer must not turn them away.
 */
function rolesProbe({ roleStates }: Role): ReadinessProbe {
  const check = () => {
    const down = roleStates.down()
    return Promise.resolve(down.length === 0 ? null : down.join('; '))
  }
  return { name: 'roles', isAdvisory: true, check }
}

/** Only the log knows the readers on other machines. This role accepts events for them in any case. */
function readerProbes(config: Config, log: EventLog): ReadinessProbe[] {
  const { topics, groups } = names(config)
  const probe = (name: string, group: string, effect: string): ReadinessProbe => ({
    name,
    isAdvisory: true,
    check: async () =>
      (await log.members(group, topics.events)) > 0 ? null : `no member of ${group} reads: ${effect}`,
  })
  return [
    probe('process', groups.process, 'events are taken and wait to be scored'),
    probe('materialize', groups.materialize, 'the log is not written to the lake'),
  ]
}

function probes(log: EventLog, watch: StateWatch, topic: string): ReadinessProbe[] {
  return [
    {
      name: 'log',
      check: async () => ((await log.describeTopic(topic)) === null ? `no topic ${topic}` : null),
    },
    { name: 'states', check: () => watch.ready() },
  ]
}
