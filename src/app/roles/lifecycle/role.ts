import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../../installation/settings/config.ts'
import { exitWithParent } from './exit-with-parent.ts'
import { watchLoop } from './loop-watch.ts'
import { serveOperations } from './operations.ts'
import { followRoleStates, type RoleStates } from './role-states.ts'
import { pinoLogger } from '../../../edges/pino/logger.ts'
import { prometheusMeter } from '../../../edges/prometheus/meter.ts'
import type { Logger, Meter } from '../../../ports/telemetry.ts'
import type { Sleeper } from '../../../process/retry.ts'

/** What every role has: its own names on logs and metrics, a clock, and a signal that says when to end. */
export interface Role {
  readonly name: string
  readonly config: Config
  readonly logger: Logger
  readonly meter: Meter
  readonly clock: Sleeper
  /** What its supervisor, if it has one, says of the roles beside it. */
  readonly roleStates: RoleStates
  /** Aborted by SIGTERM, SIGINT or the end of the parent. */
  readonly ending: AbortSignal
}

export const systemClock: Sleeper = {
  nowMs: () => Date.now(),
  async sleep(ms, signal) {
    await delay(ms, undefined, { signal }).catch(() => undefined)
  },
}

/** A piece of a role that works until it is stopped: `finished` rejects with what ended it. */
export interface Work {
  readonly finished: Promise<void>
  stop(): Promise<void>
}

/** What /readyz of a role says: null when it may get traffic, else why not. */
export interface Ready {
  ready(): Promise<string | null>
}

/**
 * What `Buffer.allocUnsafe` cuts small buffers from. A role makes several of a few kilobytes for each event, and a block that
 * holds two of them costs more than what is written into it.
 */
const bufferPoolBytes = 64 * 1024

/** Between the drain time and the end of an orphaned role. */
const drainMarginMs = 1_000

const endingSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/**
 * Runs a role until it is told to end or its work fails, then stops everything within DRAIN_MS. Answers the exit code:
 * 0 after an orderly end, 1 after a failure.
 */
export async function runRole(
  name: string,
  config: Config,
  start: (role: Role) => Promise<Work & Partial<Ready>>,
): Promise<number> {
  Buffer.poolSize = bufferPoolBytes
  const logger = pinoLogger({ level: config.LOG_LEVEL, fields: { role: name, pid: process.pid } })
  const meter = prometheusMeter({ processMetrics: true, constantLabels: { role: name } })
  const ending = new AbortController()
  const end = () => {
    ending.abort()
  }
  for (const signal of endingSignals) process.once(signal, end)
  watchLoop({ limitMs: config.STALL_MS, role: name, logger })
  exitWithParent(end, config.DRAIN_MS + drainMarginMs)
  const roleStates = followRoleStates(meter)
  const role: Role = { name, config, logger, meter, clock: systemClock, roleStates, ending: ending.signal }
  const ended = new Promise<void>((resolve) => {
    ending.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  void ended.then(() => killWhenLate(role))
  try {
    const work = await start(role)
    const operations = await operationsOf(role, work).catch(async (error: unknown) => {
      await work.stop()
      throw error
    })
    logger.info('started', operations === null ? {} : { metrics: operations.url })
    const failure = await Promise.race([ended, work.finished]).then(
      () => null,
      (error: unknown) => ({ error }),
    )
    if (!ending.signal.aborted) killWhenLate(role)
    await work.stop().catch((error: unknown) => {
      // What ended the role explains more than what its end met.
      if (failure === null) throw error
      logger.warn('stopping failed as well', { error })
    })
    await operations?.stop()
    if (failure !== null) throw failure.error
    logger.info('stopped')
    return 0
  } catch (error) {
    logger.error('failed', { error })
    return 1
  }
}

/** Metrics and readiness of a role that has no HTTP of its own; null where it has, or where no port is set. */
async function operationsOf({ name, config, meter }: Role, work: Work & Partial<Ready>) {
  if (name === 'serve' || config.METRICS_PORT === 0) return null
  const ready = () => work.ready?.() ?? Promise.resolve(null)
  return serveOperations({ host: config.METRICS_HOST, port: config.METRICS_PORT, meter, ready })
}

/**
 * Bounds the end by DRAIN_MS, whatever is in flight. It must be SIGKILL: `process.exit` waits for what runs in the threads
 * of libraries, and a COPY that was begun may take minutes. Any role may be killed at any moment.
 */
function killWhenLate({ config, logger }: Role): void {
  const kill = () => {
    logger.warn('did not drain in time, killing this process: the next owner does again what was not committed', {
      drainMs: config.DRAIN_MS,
    })
    process.kill(process.pid, 'SIGKILL')
  }
  setTimeout(kill, config.DRAIN_MS).unref()
}
