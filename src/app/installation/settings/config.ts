import { join } from 'node:path'
import { z } from 'zod'
import { installProject, loadProject, type InstalledProject, type LoadedProject } from './project.ts'
import { RiverbankError } from '../../../base/errors.ts'
import { clusterSeeds, namesCluster } from '../../../edges/redis/cluster/cluster-url.ts'

const int = (min: number, max: number, byDefault: number) =>
  z.coerce.number().int().min(min).max(max).default(byDefault)
const seconds = (min: number, max: number, byDefault: number) => int(min * 1000, max * 1000, byDefault * 1000)

/**
 * Every setting, its unit, default, limits and reason. The environment has each as `RIVERBANK_<NAME>`, those of {@link
 * wellKnown} under their own name; a project adds its own ({@link settingSchemas}). `riverbank doctor` prints this
 * table.
 */
export const configSchema = z.object({
  LOG: z.enum(['redis', 'kafka']).default('redis').describe('which log driver carries the events'),
  KAFKA_BROKERS: z.string().default('').describe('host:port of the brokers, separated by commas (kafka driver)'),
  REDIS_URL: z
    .string()
    .default('redis://127.0.0.1:6379')
    .describe('where the log of the redis driver lives, and the states unless RIVERBANK_STATES_URL is set'),
  STATES_URL: z
    .string()
    .default('')
    .describe('where the states live: a server (redis://), or a cluster (redis+cluster://host:port,host:port)'),
  NAMESPACE: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,39}$/)
    .default('rb')
    .describe('prefix of every Redis key, topic and group: two installations on one server do not meet'),
  DATA_DIR: z.string().default('.riverbank').describe('folder of the lake and of everything embedded'),
  PROJECT: z
    .string()
    .default('')
    .describe('folder of the project: its index.ts, compiled/ and models/; the shipped one when not set'),
  MODELS_DIR: z
    .string()
    .default('')
    .describe("folder with registry.json and the models; the project's own when not set, models of the shipped one"),
  MODELS_POLL_MS: int(50, 60_000, 1_000).describe(
    'milliseconds until a processor notices that another model was promoted',
  ),

  PARTITIONS: int(1, 256, 4).describe('partitions of each topic; the number of processors that can share the work'),
  REPLICATION_FACTOR: int(1, 7, 1).describe('copies of each topic (kafka driver)'),
  RETENTION_MS: seconds(60, 31_536_000, 7 * 86_400).describe(
    'milliseconds the log keeps a record at least, if it fits the size',
  ),
  RETENTION_BYTES: int(1_048_576, 1e13, 1_073_741_824).describe(
    'bytes of one partition of the log (redis driver: of memory)',
  ),

  BATCH_RECORDS: int(1, 10_000, 500).describe(
    'events of one partition handled together: larger is faster, smaller is sooner',
  ),
  BATCH_BYTES: int(65_536, 67_108_864, 4_194_304).describe('bytes of one fetch'),
  FETCH_WAIT_MS: int(1, 5_000, 20).describe('milliseconds a fetch waits for data'),
  SESSION_TIMEOUT_MS: seconds(6, 300, 10).describe('milliseconds of silence after which a member loses its partitions'),
  STATE_CACHE_ENTITIES: int(0, 10_000_000, 200_000).describe(
    'decoded states kept in memory by a processor, at most; 0 keeps none',
  ),
  STATE_CACHE_MB: int(1, 65_536, 512).describe(
    'megabytes of decoded states kept in memory by a processor: 2 KB for a young entity, 500 KB for one with all its tiles',
  ),
  STATE_TIMEOUT_MS: int(50, 60_000, 2_000).describe('milliseconds until a Redis command counts as failed'),
  STATES_CHECK_MS: int(50, 5_000, 500).describe(
    'milliseconds between two looks of each role at whether the states are whole: a loss is told within two of them',
  ),
  RETRY_ATTEMPTS: int(1, 100, 8).describe(
    'tries of a failed read, write or publish before the process gives up and restarts',
  ),
  RETRY_MAX_DELAY_MS: int(10, 60_000, 2_000).describe('longest pause between two tries, in milliseconds'),

  HTTP_HOST: z
    .string()
    .default('127.0.0.1')
    .describe('address the HTTP role listens on; another than loopback needs RIVERBANK_API_KEY'),
  HTTP_PORT: int(0, 65_535, 8080).describe('port of the HTTP role; 0 takes a free one'),
  API_KEY: z.string().default('').describe('bearer token that HTTP calls must carry when set; at least 16 characters'),
  METRICS_HOST: z
    .string()
    .default('127.0.0.1')
    .describe('address of /metrics, /livez and /readyz of the roles process and materialize; they ask for no key'),
  METRICS_PORT: int(0, 65_535, 0).describe(
    'port of /metrics, /livez and /readyz of the roles process and materialize; 0 turns it off, and lets up and npm start choose free ones: one for each role, in a row',
  ),
  SQL_TIMEOUT_MS: int(100, 600_000, 10_000).describe('milliseconds a query over HTTP may run'),
  SQL_MAX_ROWS: int(1, 1_000_000, 10_000).describe('rows a query over HTTP may answer'),
  SQL_MEMORY_MB: int(64, 65_536, 512).describe('memory of one query process'),
  STREAM_QUEUE: int(16, 100_000, 1_000).describe('scores waiting for one slow subscriber before it is cut off'),
  RECENT_SCORES: int(100, 1_000_000, 20_000).describe(
    'newest scores a serve process holds; older ones are read from the lake',
  ),
  RECENT_SCORES_MB: int(1, 65_536, 128).describe('megabytes of them: when they are large, fewer are held'),
  LOOKUP_SCORES: int(1_000, 10_000_000, 1_000_000).describe(
    'newest scores, and newest events, that a serve process finds without the lake: about 170 bytes of memory for both',
  ),
  LOOKUP_DISK_MB: int(64, 1_048_576, 4_096).describe(
    'megabytes under the data folder for those scores, at most: when they are large, fewer are held',
  ),
  LOOKUP_LISTS_MB: int(1, 65_536, 64).describe(
    'megabytes of ids of the files of the lake that a serve process holds, 8 bytes a row; others are read from the disk',
  ),

  LAKE_FLUSH_ROWS: int(1, 1_000_000, 50_000).describe('rows of one table that are written at once'),
  LAKE_FLUSH_MS: int(100, 600_000, 5_000).describe('milliseconds until rows are written even if they are few'),
  LAKE_BUFFER_MB: int(1, 4_096, 64).describe(
    'megabytes of records that wait to be written, all partitions together: beyond it the next one writes',
  ),
  LAKE_MEMORY_MB: int(128, 65_536, 1_024).describe(
    'megabytes of the database that writes and merges the files of the lake; beyond it a write fails',
  ),

  LAKE_COMPACT_MS: int(0, 86_400_000, 300_000).describe(
    'milliseconds between two merges of small files; 0 turns it off',
  ),

  MONITOR_MS: int(0, 86_400_000, 600_000).describe(
    'milliseconds between two comparisons of the model that scores with its training, on /metrics of materialize; 0: never',
  ),
  MONITOR_MEMORY_MB: int(128, 65_536, 1_024).describe(
    'megabytes of the database that compares, while it does; beyond them it spills to the disk',
  ),
  MONITOR_DAYS: int(1, 365, 7).describe('days of scores that are compared'),
  MONITOR_LABEL_DELAY_DAYS: int(0, 365, 7).describe('days that labels take; outcomes are judged so long before'),

  STALL_MS: int(500, 3_600_000, 60_000).describe(
    'milliseconds until a role whose code stands still ends itself: of listening while it waits, or of CPU in one turn of its loop',
  ),
  DRAIN_MS: int(100, 60_000, 8_000).describe('milliseconds that a role may use to finish its batches after SIGTERM'),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info').describe('how much is logged'),
})

export interface Config extends Readonly<z.infer<typeof configSchema>>, InstalledProject {}

/** Settings that other tools read under the same name. */
const wellKnown: ReadonlySet<string> = new Set(['KAFKA_BROKERS', 'REDIS_URL'])

export function environmentName(setting: string): string {
  return wellKnown.has(setting) ? setting : `RIVERBANK_${setting}`
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Every setting of an installation of this project: the service's own, then the project's. Errors: `project_refused`.
 */
export function settingSchemas({ definition, folder }: LoadedProject): z.ZodObject {
  const own = Object.keys(definition.settings)
  const taken = own.find((setting) => setting in configSchema.shape)
  if (taken === undefined) return configSchema.extend(definition.settings)
  throw new RiverbankError(
    'project_refused',
    `${folder}: the setting ${taken} is one of the service: call it otherwise`,
  )
}

/**
 * Reads and checks the environment. Errors: `invalid_config` with one line per mistake, and those of {@link
 * loadProject}.
 */
export function readConfig(env: Environment): Config {
  const project = loadProject(env)
  const known = Object.keys(settingSchemas(project).shape)
  const mistakes: string[] = []
  const names = new Set(known.map(environmentName))
  for (const name of Object.keys(env)) {
    if (name.startsWith('RIVERBANK_') && !names.has(name)) mistakes.push(`${name}: no such setting`)
  }
  const parsed = configSchema.safeParse(valuesOf(env, Object.keys(configSchema.shape)))
  if (!parsed.success) mistakes.push(...mistakesOf(parsed.error))
  else mistakes.push(...conflicts(parsed.data))
  const settings = settingsIn(env, project)
  if (!settings.success) mistakes.push(...mistakesOf(settings.error))
  if (mistakes.length > 0 || !parsed.success || !settings.success) {
    throw new RiverbankError('invalid_config', mistakes.join('\n'))
  }
  const MODELS_DIR = parsed.data.MODELS_DIR === '' ? modelsOf(project) : parsed.data.MODELS_DIR
  return { ...parsed.data, MODELS_DIR, ...installProject(project, settings.data) }
}

/** The project and its own settings alone, for commands that only describe features. Errors: as {@link readConfig}. */
export function readProject(env: Environment): InstalledProject {
  const project = loadProject(env)
  settingSchemas(project)
  const settings = settingsIn(env, project)
  if (settings.success) return installProject(project, settings.data)
  throw new RiverbankError('invalid_config', mistakesOf(settings.error).join('\n'))
}

/** The project with the defaults of its settings, for which its feature set is committed. */
export function withDefaults(project: LoadedProject): InstalledProject {
  return installProject(project, z.object(project.definition.settings).parse({}))
}

function settingsIn(env: Environment, { definition: { settings } }: LoadedProject) {
  return z.object(settings).safeParse(valuesOf(env, Object.keys(settings)))
}

/** The models of the shipped project are in the working directory, as those of an image are. */
function modelsOf({ isShipped, folder }: LoadedProject): string {
  return isShipped ? 'models' : join(folder, 'models')
}

function valuesOf(env: Environment, settings: readonly string[]) {
  const values: Record<string, string> = {}
  for (const setting of settings) {
    const value = env[environmentName(setting)]
    if (value !== undefined && value !== '') values[setting] = value
  }
  return values
}

function mistakesOf({ issues }: z.ZodError): string[] {
  return issues.map(({ path, message }) => `${environmentName(String(path[0]))}: ${message}`)
}

/** The location of the states: one URL of a server, or seeds of a cluster. */
export type StateLocation =
  { readonly kind: 'server'; readonly url: string } | { readonly kind: 'cluster'; readonly seeds: readonly string[] }

export function stateLocation({ STATES_URL, REDIS_URL }: Pick<Config, 'STATES_URL' | 'REDIS_URL'>): StateLocation {
  const url = STATES_URL === '' ? REDIS_URL : STATES_URL
  const seeds = clusterSeeds(url)
  return seeds === null ? { kind: 'server', url } : { kind: 'cluster', seeds }
}

const loopback = new Set(['127.0.0.1', '::1', 'localhost'])

export function isLoopback(host: string): boolean {
  return loopback.has(host)
}

function conflicts(config: z.infer<typeof configSchema>): string[] {
  const found: string[] = []
  if (config.LOG === 'kafka' && config.KAFKA_BROKERS === '')
    found.push('KAFKA_BROKERS: needed when RIVERBANK_LOG=kafka')
  for (const setting of ['REDIS_URL', 'STATES_URL'] as const) {
    if (namesCluster(config[setting]) && clusterSeeds(config[setting]) === null) {
      found.push(`${environmentName(setting)}: redis+cluster://user:password@host:port,host:port, and no database`)
    }
  }
  if (config.LOG === 'redis' && namesCluster(config.REDIS_URL)) {
    const instead = 'set REDIS_URL to one and RIVERBANK_STATES_URL to the cluster, or RIVERBANK_LOG=kafka'
    found.push(`REDIS_URL: the redis log needs a single server: ${instead}`)
  }
  if (config.API_KEY !== '' && config.API_KEY.length < 16) found.push('RIVERBANK_API_KEY: at least 16 characters')
  if (!isLoopback(config.HTTP_HOST) && config.API_KEY === '') {
    found.push(`RIVERBANK_HTTP_HOST: ${config.HTTP_HOST} is not loopback; set RIVERBANK_API_KEY to listen there`)
  }
  return found
}

/** Names of everything an installation has on shared servers. */
export function names({ NAMESPACE, project }: Pick<Config, 'NAMESPACE' | 'project'>) {
  const prefix = NAMESPACE === 'rb' ? '' : `${NAMESPACE}.`
  const { name } = project.definition
  return {
    topics: {
      events: `${prefix}${name}.events`,
      scores: `${prefix}${name}.scores`,
      deadLetters: `${prefix}${name}.dead-letters`,
    },
    groups: { process: `${prefix}riverbank.process`, materialize: `${prefix}riverbank.materialize` },
  } as const
}
