import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { environmentName, readConfig, type Config } from '../../src/app/installation/settings/config.ts'
import { loadProject, type LoadedProject } from '../../src/app/installation/settings/project.ts'
import { startEmbeddedRedis, type EmbeddedRedis } from '../../src/app/installation/servers/embedded-redis.ts'
import { installationRecordSchema } from '../../src/app/installation/settings/running-installation.ts'
import { withMetrics } from '../../src/app/supervise/up.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import { freePort } from '../../src/edges/redis/server/server.ts'
import type { Logger } from '../../src/ports/telemetry.ts'
import type { DemoOptions } from './run.ts'

/** The facts that a later start on the same folder needs. */
const recordSchema = installationRecordSchema.extend({
  /** The time of day 0 of the history. */
  originMs: z.number().nullable(),
  /** The log has the whole history. */
  fed: z.boolean(),
  /** How many events the whole history has; left out before it is fed. */
  sent: z.number().int().optional(),
  /** Days of history, which the first start chose. */
  days: z.number().int().nullable().default(null),
})
export type InstallationRecord = z.infer<typeof recordSchema>

export interface Installation {
  readonly config: Config
  /** For the children: this process's environment with the settings of the installation. */
  readonly env: Readonly<Record<string, string>>
  readonly record: InstallationRecord
  readonly redis: EmbeddedRedis | null
  remember(record: InstallationRecord): void
  /** Stops Redis; deletes the files of a temporary run, if all went well. */
  close(keep: boolean): Promise<void>
}

/** Folder, namespace, Redis and settings of one run. Two runs meet only when they are given the same folder. */
export async function openInstallation(options: DemoOptions, logger: Logger): Promise<Installation> {
  const asked = loadProject(process.env)
  const temporary =
    options.data === undefined && options.exit === true && process.env[environmentName('DATA_DIR')] === undefined
  const dir = temporary
    ? temporaryDir()
    : resolve(options.data ?? process.env[environmentName('DATA_DIR')] ?? '.riverbank')
  mkdirSync(dir, { recursive: true })
  const recordPath = join(dir, 'installation.json')
  const record = recordOf(recordPath, asked, options)
  const redis = process.env['REDIS_URL'] === undefined ? await embeddedRedis(dir, logger) : null
  const settings: Record<string, string> = {
    LOG: record.log,
    NAMESPACE: record.namespace,
    ...record.settings,
    PROJECT: record.project,
    DATA_DIR: dir,
    HTTP_PORT:
      options.exit === true
        ? '0'
        : String(options.port ?? process.env[environmentName('HTTP_PORT')] ?? (await portOrFree(usualPort))),
    // A demo keeps its log small; the lake has all older events.
    RETENTION_BYTES: String(64 * 1024 * 1024),
    LAKE_FLUSH_MS: options.exit === true ? '1000' : '5000',
    LOG_LEVEL: 'warn',
    ...(redis === null ? {} : { REDIS_URL: redis.url }),
  }
  const env = { ...process.env } as Record<string, string>
  for (const [name, value] of Object.entries(settings)) {
    const variable = environmentName(name)
    if (variable === 'REDIS_URL' || env[variable] === undefined || fixed.has(name)) env[variable] = value
  }
  async function close(keep: boolean): Promise<void> {
    await redis?.stop()
    if (temporary && !keep) rmSync(dir, { recursive: true, force: true })
  }
  let config: Config
  try {
    config = await withMetrics(readConfig(env), 1)
  } catch (error) {
    await close(false)
    throw error
  }
  const installation: Installation = {
    config,
    env,
    record: { ...record, httpPort: config.HTTP_PORT === 0 ? null : config.HTTP_PORT },
    redis,
    remember(next) {
      writeFileSync(recordPath, `${JSON.stringify(next, null, 2)}\n`)
    },
    close,
  }
  installation.remember(installation.record)
  return installation
}

/** Reads the record of the first start in the folder, or begins one. Errors: `log_mismatch`, `project_mismatch`. */
function recordOf(path: string, asked: LoadedProject, options: DemoOptions): InstallationRecord {
  const record = existsSync(path)
    ? recordSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
    : {
        namespace: `demo-${randomBytes(4).toString('hex')}`,
        log: options.log ?? ('redis' as const),
        project: asked.isShipped ? '' : asked.folder,
        settings: settingsOf(asked),
        httpPort: null,
        originMs: null,
        fed: false,
        days: null,
      }
  if (options.log !== undefined && options.log !== record.log) {
    const what = `${path} was begun with the ${record.log} log, --log asks for ${options.log}`
    throw new RiverbankError('log_mismatch', `${what}: leave --log out, or choose another --data`)
  }
  const folder = asked.isShipped ? '' : asked.folder
  if (folder !== record.project) {
    const what = `${path} was begun with ${record.project === '' ? 'the shipped project' : `the project in ${record.project}`}`
    throw new RiverbankError('project_mismatch', `${what}: choose it with --project, or choose another --data`)
  }
  return record
}

/** Settings that the environment must not override: the options decide them. */
const fixed: ReadonlySet<string> = new Set(['LOG', 'NAMESPACE', 'PROJECT', 'DATA_DIR', 'HTTP_PORT'])

/** The project's settings that the environment sets. */
function settingsOf({ definition }: LoadedProject): Record<string, string> {
  const given = Object.keys(definition.settings).map((name) => [name, process.env[environmentName(name)]] as const)
  return Object.fromEntries(given.filter((one): one is readonly [string, string] => one[1] !== undefined))
}

const usualPort = 8080

/** This port, or a free one if another process listens there, so that a second demo does not fail. */
async function portOrFree(port: number): Promise<number> {
  const server = createServer()
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => {
      resolve(false)
    })
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true)
      })
    })
  })
  return free ? port : freePort()
}

function temporaryDir(): string {
  const runs = resolve('.riverbank', 'runs')
  mkdirSync(runs, { recursive: true })
  return mkdtempSync(join(runs, 'run-'))
}

function embeddedRedis(dir: string, logger: Logger): Promise<EmbeddedRedis> {
  return startEmbeddedRedis({
    dir: join(dir, 'redis'),
    maxMemoryBytes: 0,
    startTimeoutMs: 20_000,
    stopTimeoutMs: 10_000,
    logger,
  })
}
