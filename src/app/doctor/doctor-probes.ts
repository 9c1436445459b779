import { constants, existsSync } from 'node:fs'
import { access, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isRiverbankError } from '../../base/errors.ts'
import { findRedisServer } from '../../edges/redis/server/server.ts'
import { committedFile, compileCommand, compiledFreshness } from '../installation/settings/compiled-feature-set.ts'
import type { Contradiction } from '../installation/contradictions.ts'
import { stateLocation, withDefaults, type Config } from '../installation/settings/config.ts'
import type { LoadedProject } from '../installation/settings/project.ts'
import { portProbe } from './doctor-ports.ts'
import { clusterFinding, redisFinding } from './doctor-redis.ts'
import { statesFinding } from './doctor-states.ts'
import { fail, ok, warn, type Finding, type Probe } from './doctor.ts'

const nodeMin = [20, 19] as const
const freeBytesMin = 1_073_741_824

/** Probes that need no configuration. */
export function machineProbes({ project }: Pick<Config, 'project'>): Probe[] {
  const reinstall = 'run npm ci'
  return [
    { name: 'node', fix: 'install a newer Node', run: async () => nodeFinding(process.versions.node) },
    // Loaded only here: the probe checks whether the library loads.
    {
      name: 'onnxruntime',
      fix: reinstall,
      run: async () => (await import('../../edges/onnx/scorer.ts'), ok('loads')),
    },
    {
      name: 'duckdb',
      fix: reinstall,
      run: async () => (await import('../../edges/duckdb/table-writer.ts'), ok('loads')),
    },
    { name: 'redis program', fix: '', run: async () => redisProgramFinding(findRedisServer()) },
    { name: 'feature set', fix: `run ${compileCommand(project)}`, run: () => featureSetFinding(project) },
  ]
}

/** Probes of everything that the configuration names. */
export function installationProbes(config: Config): Probe[] {
  const probes: Probe[] = [
    ...redisProbes(config),
    { name: 'belonging', fix: 'see the check of redis', run: () => belongingFinding(config) },
    { name: 'topics', fix: 'see the checks of the log and of redis', run: () => topicsFinding(config) },
    {
      name: 'keys',
      fix: 'see the checks of the log and of redis',
      run: async () => (await import('./doctor-keys.ts')).keysFinding(config),
    },
    { name: 'states', fix: 'see the checks of redis and of the log', run: () => statesFinding(config) },
    {
      name: 'model',
      fix: 'train one for these definitions, or correct models/registry.json and RIVERBANK_MODELS_DIR',
      run: async () => {
        const { definitions, loadModel } = await import('../installation/settings/definitions.ts')
        const compiled = definitions(config)
        const found: string[] = []
        for (const eventType of compiled.scoreForms.keys()) {
          const scorer = await loadModel(config.MODELS_DIR, compiled, eventType)
          await scorer.close()
          found.push(`${scorer.name} ${scorer.version}`)
        }
        return ok(`${found.join(', ')}: golden vectors agree`)
      },
    },
    {
      name: 'data folder',
      fix: 'make it writable, or choose another RIVERBANK_DATA_DIR',
      run: () => folderFinding(resolve(config.DATA_DIR)),
    },
    {
      name: 'lake',
      fix: 'run riverbank lake check',
      run: async () => (await import('./doctor-lake.ts')).lakeFinding(config.DATA_DIR),
    },
    portProbe('http port', 'RIVERBANK_HTTP_PORT', config.HTTP_HOST, config.HTTP_PORT),
  ]
  if (config.METRICS_PORT !== 0) {
    probes.push(portProbe('metrics port', 'RIVERBANK_METRICS_PORT', config.METRICS_HOST, config.METRICS_PORT))
  }
  if (config.LOG === 'kafka') probes.splice(1, 0, brokersProbe(config))
  return probes
}

export function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isNewEnough = major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1])
  return isNewEnough ? ok(version) : fail(version, `install Node ${nodeMin.join('.')} or newer`)
}

function redisProgramFinding(path: string | null): Finding {
  if (path !== null) return ok(path)
  return warn(
    'neither redis-server nor valkey-server on the PATH',
    'only npm start and the tests need it: apt-get install redis-server, brew install redis, dnf install valkey',
  )
}

/** Probes of the log's server, and of the states' server if that is another one. */
function redisProbes(config: Config): Probe[] {
  const place = stateLocation(config)
  const server = (name: string, url: string, setting: string): Probe => ({
    name,
    fix: `start it, or correct ${setting}; npm start brings its own`,
    run: async () => {
      const { probeRedis } = await import('../../edges/redis/server/probe.ts')
      return redisFinding(await probeRedis(url, config.STATE_TIMEOUT_MS))
    },
  })
  const isOneServer = place.kind === 'server' && place.url === config.REDIS_URL
  const probes = isOneServer || config.LOG === 'redis' ? [server('redis server', config.REDIS_URL, 'REDIS_URL')] : []
  if (isOneServer) return probes
  const setting = config.STATES_URL === '' ? 'REDIS_URL' : 'RIVERBANK_STATES_URL'
  if (place.kind === 'server') return [...probes, server('states server', place.url, setting)]
  const run = async () => {
    const { probeCluster } = await import('../../edges/redis/server/probe.ts')
    return clusterFinding(await probeCluster(place.seeds, config.STATE_TIMEOUT_MS))
  }
  return [...probes, { name: 'states cluster', fix: `start all of its primaries, or correct ${setting}`, run }]
}

function brokersProbe(config: Config): Probe {
  return {
    name: 'kafka brokers',
    fix: 'start them, or correct KAFKA_BROKERS',
    run: async () => {
      const { probeKafka } = await import('../../edges/kafka/probe.ts')
      const brokers = config.KAFKA_BROKERS.split(',').map((broker) => broker.trim())
      await probeKafka({ brokers, connectTimeoutMs: 3_000, requestTimeoutMs: 5_000 })
      return ok(brokers.join(', '))
    },
  }
}

async function topicsFinding(config: Config): Promise<Finding> {
  const { openEventLog } = await import('../installation/servers/event-log.ts')
  const { topicSpecs } = await import('../installation/servers/topics.ts')
  const { contradictions, topicRisks } = await import('../installation/contradictions.ts')
  const log = await openEventLog(config)
  try {
    const wrong = contradictionFinding(await contradictions(config, { log }))
    if (wrong !== null) return wrong
    const missing: string[] = []
    for (const { topic } of topicSpecs(config)) if ((await log.describeTopic(topic)) === null) missing.push(topic)
    if (missing.length > 0)
      return warn(`missing: ${missing.join(', ')}`, 'run riverbank topics create, or riverbank up')
    const risks = await topicRisks(config, log)
    if (risks.length > 0) return warn(risks.map(({ what }) => what).join('; '), risks.map(({ fix }) => fix).join('; '))
    return ok(`${topicSpecs(config).length} with ${config.PARTITIONS} partitions each (${log.driver})`)
  } finally {
    await log.close()
  }
}

/** Whether states and lake belong to these settings; the topics have a check of their own. */
async function belongingFinding(config: Config): Promise<Finding> {
  const { openStateStore } = await import('../installation/servers/event-log.ts')
  const { contradictions } = await import('../installation/contradictions.ts')
  const store = await openStateStore(config)
  try {
    return (
      contradictionFinding(await contradictions(config, { store, lake: true })) ??
      ok('states and lake are of these settings')
    )
  } finally {
    await store.close()
  }
}

function contradictionFinding(found: readonly Contradiction[]): Finding | null {
  if (found.length === 0) return null
  const told = found.map(({ code, what }) => `${code}: ${what}`).join('; ')
  return fail(told, [...new Set(found.map(({ advice }) => advice))].join('; '))
}

async function featureSetFinding(project: LoadedProject): Promise<Finding> {
  const { definitions } = await import('../installation/settings/definitions.ts')
  const { manifest } = definitions(withDefaults(project))
  const short = manifest.hash.slice(0, 12)
  switch (await compiledFreshness(manifest, committedFile(project))) {
    case 'missing':
      return ok(`${short}, built`)
    case 'fresh':
      return ok(`${short}, as committed`)
    case 'stale':
      return fail(
        `the definitions give ${short}, ${project.compiledPath} says something else`,
        `run ${compileCommand(project)} and commit it; models must be trained for the new hash`,
      )
  }
}

async function folderFinding(folder: string): Promise<Finding> {
  // A role makes a missing folder in its nearest existing parent: that one must be writable.
  let existing = folder
  while (!existsSync(existing)) existing = dirname(existing)
  await access(existing, constants.W_OK | constants.X_OK)
  const { bavail, bsize } = await statfs(existing)
  const freeBytes = bavail * bsize
  const detail = `${folder}, ${(freeBytes / 1e9).toFixed(1)} GB free`
  return freeBytes < freeBytesMin ? warn(detail, 'make room: the lake stops when it cannot write') : ok(detail)
}

/** Whether the environment is a valid configuration, and which; only then can its probes run. */
export function configurationFinding(read: () => Config): { finding: Finding; config: Config | null } {
  try {
    const config = read()
    return { finding: ok(`log ${config.LOG}, namespace ${config.NAMESPACE}`), config }
  } catch (error) {
    if (!isRiverbankError(error, 'invalid_config')) throw error
    return { finding: fail(error.message, 'riverbank doctor --settings lists every setting'), config: null }
  }
}
