import { isLoopback, type Config } from '../installation/settings/config.ts'
import { refuseAnyContradiction } from '../installation/contradictions.ts'
import { definitions } from '../installation/settings/definitions.ts'
import { openEventLog, openStateStore } from '../installation/servers/event-log.ts'
import type { RestartLimits } from './restart-policy.ts'
import { systemClock } from '../roles/lifecycle/role.ts'
import { isFatal, readStatusOnce } from '../roles/state-watch.ts'
import { ownCommand, superviseUntilSignalled } from './supervisor.ts'
import type { Command, RoleSpec, SupervisorOptions } from './supervisor.ts'
import { freePortsInARow } from '../installation/servers/free-ports.ts'
import { createTopics } from '../installation/servers/topics.ts'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import { pinoLogger } from '../../edges/pino/logger.ts'
import type { EventLog } from '../../ports/log.ts'
import type { Logger } from '../../ports/telemetry.ts'
import { withRetry } from '../../process/retry.ts'

/** Restarts for good: the server that a role needs may come back when no operator is there to start the role. */
const restartForGood: RestartLimits = { crashesMax: null, windowMs: 600_000, delayMsMin: 200, delayMsMax: 10_000 }

/** A run with an end must not wait for a fault that no restart mends. */
export const restartAtMost: RestartLimits = { ...restartForGood, crashesMax: 10 }

/** Between a role's own drain time and SIGKILL. */
const stopMarginMs = 1_500

/**
 * MiB of the young generation. What a processor holds is of the current batches or old: with the default of 16 MiB a
 * fifth of its time went into copying what belongs to the current batches, and an event cost 80 µs with 64 MiB and 75
 * with 128 (`npm run bench -- --only batch`, started with either). The requests of the HTTP role are as short-lived, and smaller. The
 * materializer would only keep garbage for longer.
 */
const youngGeneration = { process: ['--max-semi-space-size=128'], serve: ['--max-semi-space-size=64'] } as const

/**
 * The settings with a metrics port: the one that is set, or the first of as many free ones in a row as the roles need.
 * Beyond loopback a role opens only ports that the settings name.
 */
export async function withMetrics(config: Config, processors: number): Promise<Config> {
  if (config.METRICS_PORT !== 0 || !isLoopback(config.METRICS_HOST)) return config
  return { ...config, METRICS_PORT: await freePortsInARow(processors + 1, config.METRICS_HOST) }
}

/** The metrics address of each role of one machine that has no HTTP of its own. */
export function roleMetrics(config: Config, processors: number): { readonly role: string; readonly url: string }[] {
  if (config.METRICS_PORT === 0) return []
  const url = (offset: number) => `http://${config.METRICS_HOST}:${config.METRICS_PORT + offset}/metrics`
  const process = Array.from({ length: processors }, (_, i) => ({ role: `process-${i + 1}`, url: url(i) }))
  return [...process, { role: 'materialize-1', url: url(processors) }]
}

/** The roles of one machine, each with the port of its own metrics: METRICS_PORT, and those after it. */
export function roleSpecs(config: Config, processors: number): RoleSpec[] {
  const metricsPort = (offset: number) =>
    config.METRICS_PORT === 0 ? {} : { RIVERBANK_METRICS_PORT: String(config.METRICS_PORT + offset) }
  return [
    ...Array.from({ length: processors }, (_, i): RoleSpec => ({
      role: 'process',
      count: 1,
      args: ['process'],
      nodeArgs: youngGeneration.process,
      env: metricsPort(i),
    })),
    { role: 'serve', count: 1, args: ['serve'], nodeArgs: youngGeneration.serve },
    { role: 'materialize', count: 1, args: ['materialize'], env: metricsPort(processors) },
  ]
}

export function supervisorOptions(
  config: Config,
  logger: Logger,
  command: Command,
  roles: readonly RoleSpec[],
  restart: RestartLimits = restartForGood,
): SupervisorOptions {
  return {
    roles,
    command,
    restart,
    stopTimeoutMs: config.DRAIN_MS + stopMarginMs,
    clock: systemClock,
    logger,
    onLine: (line: string) => {
      process.stderr.write(`${line}\n`)
    },
  }
}

/** `riverbank up`: topics, then all roles until SIGTERM. */
export async function runAll(given: Config, { processors }: { readonly processors: number }): Promise<number> {
  const config = await withMetrics(given, processors)
  const logger = pinoLogger({ level: config.LOG_LEVEL, fields: { role: 'up', pid: process.pid } })
  const retry = { attempts: config.RETRY_ATTEMPTS, firstDelayMs: 100, maxDelayMs: config.RETRY_MAX_DELAY_MS }
  const never = new AbortController().signal
  const lasting = { clock: systemClock, signal: never, logger }
  await withRetry('creating the topics', retry, lasting, async () => {
    const log = await openEventLog(config, logger)
    try {
      await refuseAnyContradiction(config, log)
      await checkPlace(config, log)
      await createTopics(config, log)
    } finally {
      await log.close()
    }
  })
  logger.info('metrics', { of: roleMetrics(config, processors) })
  await superviseUntilSignalled(supervisorOptions(config, logger, ownCommand(), roleSpecs(config, processors)))
  return 0
}

/**
 * Refuses to create topics beside a lake with newer records, and for another lake. Errors: `lake_mismatch`,
 * `log_recreated`.
 */
async function checkPlace(config: Config, log: EventLog): Promise<void> {
  const store = await openStateStore(config).catch((error: unknown) => {
    // The roles wait for their states, and check them themselves.
    if (!isRiverbankError(error) || !error.canRetry) throw error
    return null
  })
  if (store === null) return
  try {
    const featureSet = definitions(config).manifest.hash
    const statesStatus = await readStatusOnce({ config, log, store, featureSet }, { bindsLake: false })
    if (statesStatus.kind === 'refused' && isFatal(statesStatus))
      throw new RiverbankError(statesStatus.code, statesStatus.reason)
  } finally {
    await store.close()
  }
}
