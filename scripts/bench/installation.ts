import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { roleCommand } from '../role-command.ts'
import { environmentName, readConfig, type Config } from '../../src/app/installation/settings/config.ts'
import { startEmbeddedRedis } from '../../src/app/installation/servers/embedded-redis.ts'
import { openEventLog } from '../../src/app/installation/servers/event-log.ts'
import { supervise, type Supervisor } from '../../src/app/supervise/supervisor.ts'
import { createTopics, topicSpecs } from '../../src/app/installation/servers/topics.ts'
import { roleSpecs, supervisorOptions } from '../../src/app/supervise/up.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import { pinoLogger } from '../../src/edges/pino/logger.ts'
import { freePort } from '../../src/edges/redis/server/server.ts'
import type { EventLog } from '../../src/ports/log.ts'

export type Driver = 'redis' | 'kafka'

export interface InstallationOptions {
  readonly driver: Driver
  /** The brokers of the kafka driver. */
  readonly brokers?: string
  /** Without it the shipped models. */
  readonly modelsDir?: string
  /** The roles to run; left out: all of them. */
  readonly roles?: readonly string[]
  /** Processors; 1 when left out. */
  readonly processors?: number
  /** By role: options of Node beside its own. */
  readonly nodeArgs?: Readonly<Record<string, readonly string[]>>
  /** Added to the environment of every role. */
  readonly env?: Readonly<Record<string, string>>
  /** Called with the error that ended a role or Redis. */
  readonly onFailure: (error: unknown) => void
}

/** All roles and Redis as real processes, with a folder and a namespace of their own, and default settings. */
export interface Installation {
  readonly driver: Driver
  readonly config: Config
  /** The environment of its roles: a command with this environment finds it. */
  readonly env: Readonly<Record<string, string>>
  /** The port of the HTTP role. */
  readonly port: number
  /** The publisher's own connection to the log. */
  readonly log: EventLog
  /** Process ids of the roles, of Redis and of the publisher, which is this process. */
  pids(): ReadonlyMap<string, number>
  /** Runs one more role beside those that run; it ends with the installation. */
  start(role: string): void
  /** Ends the processes and deletes their files. */
  close(): Promise<void>
}

const readyMs = 60_000
const redisTimeouts = { startTimeoutMs: 20_000, stopTimeoutMs: 10_000 } as const

export async function openInstallation(options: InstallationOptions): Promise<Installation> {
  const logger = pinoLogger({ level: 'warn', fields: { role: 'bench' } })
  const dir = await mkdtemp(join(tmpdir(), 'riverbank-bench-'))
  const closers: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true, maxRetries: 5 })]
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer().catch(() => undefined)
  }
  try {
    const redis = await startEmbeddedRedis({ dir: join(dir, 'redis'), maxMemoryBytes: 0, ...redisTimeouts, logger })
    closers.push(() => redis.stop())
    void redis.crashed.then(options.onFailure)
    const port = await freePort()
    const env = { ...environment({ dir, port, redisUrl: redis.url, ...options }), ...options.env }
    const config = readConfig(env)
    const log = await openEventLog(config, logger)
    closers.push(() => log.close())
    await createTopics(config, log)
    if (options.driver === 'kafka') closers.push(() => deleteTopics(config, log))
    const supervisors: Supervisor[] = []
    const run = (wanted: InstallationOptions) => {
      const supervisor = startRoles(config, env, wanted)
      supervisor.finished.catch(options.onFailure)
      supervisors.push(supervisor)
      closers.push(() => supervisor.stop())
    }
    run(options)
    if (options.roles?.includes('serve') !== false) await untilReady(port)
    const ofRoles = () => supervisors.flatMap((supervisor) => [...supervisor.pids()])
    const pids = () => new Map([['publisher', process.pid], ['redis', redis.pid], ...ofRoles()])
    const start = (role: string) => run({ ...options, roles: [role] })
    return { driver: options.driver, config, env, port, log, pids, start, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Place extends InstallationOptions {
  readonly dir: string
  readonly port: number
  readonly redisUrl: string
}

/** Leaves the settings of the shell out, so that two machines measure the same thing. */
function environment({ dir, port, redisUrl, driver, brokers, modelsDir }: Place): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith('RIVERBANK_'),
  )
  const settings = {
    LOG: driver,
    NAMESPACE: `bench-${randomBytes(4).toString('hex')}`,
    DATA_DIR: dir,
    HTTP_PORT: String(port),
    LOG_LEVEL: 'warn',
    REDIS_URL: redisUrl,
    KAFKA_BROKERS: brokers ?? '',
    ...(modelsDir === undefined ? {} : { MODELS_DIR: modelsDir }),
    // As in the demo: the lake has all older events.
    RETENTION_BYTES: String(64 * 1024 * 1024),
  }
  const own = Object.entries(settings).map(([name, value]): [string, string] => [environmentName(name), value])
  return Object.fromEntries([...inherited, ...own])
}

function startRoles(
  config: Config,
  env: Readonly<Record<string, string>>,
  { roles: wanted, processors = 1, nodeArgs = {} }: InstallationOptions,
): Supervisor {
  const logger = pinoLogger({ level: 'warn', fields: { role: 'bench' } })
  const specs = roleSpecs(config, processors).filter(({ role }) => wanted?.includes(role) !== false)
  const roles = specs.map((spec) => ({
    ...spec,
    nodeArgs: [...(spec.nodeArgs ?? []), ...(nodeArgs[spec.role] ?? [])],
    env: { ...env, ...spec.env },
  }))
  return supervise(supervisorOptions(config, logger, roleCommand(), roles))
}

async function untilReady(port: number): Promise<void> {
  const deadlineMs = performance.now() + readyMs
  for (;;) {
    const isReady = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      (response) => response.ok,
      () => false,
    )
    if (isReady) return
    if (performance.now() > deadlineMs) {
      throw new RiverbankError('not_ready', `the HTTP role was not ready within ${readyMs} ms`)
    }
    await delay(50)
  }
}

async function deleteTopics(config: Config, log: EventLog): Promise<void> {
  for (const { topic } of topicSpecs(config)) await log.deleteTopic(topic)
}
