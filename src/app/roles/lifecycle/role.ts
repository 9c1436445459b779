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

/** What every role has: a logger and metrics under its name, a clock, and a signal to end. */
export interface Role {
  readonly name: string
  readonly config: Config
  readonly logger: Logger
  readonly meter: Meter
  readonly clock: Sleeper
  /** The roles beside it, as its supervisor, if it has one, reports them. */
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

/** A part of a role that works until it is stopped: `finished` rejects with the error that ended it. */
export interface Work {
  readonly finished: Promise<void>
  stop(): Promise<void>
}

/** The answer of a role's /readyz: null when it may get traffic, else the reason. */
export interface Ready {
  ready(): Promise<string | null>
}

/**
 * `Buffer.allocUnsafe` cuts small buffers from blocks of this size. A role makes several buffers of a few kilobytes for
 * each event; a block for only two of them costs more than writing them.
 */
const bufferPoolBytes = 64 * 1024

/** Between the drain time and the end of an orphaned role. */
const drainMarginMs = 1_000

const endingSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/**
 * Runs a role until a signal ends it or its work fails, then stops everything within DRAIN_MS. Answers the exit code: 0
 * after an orderly end, 1 after a failure.
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
      // The error that ended the role explains more than an error of its end.
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

/** Serves metrics and readiness of a role without HTTP of its own; null for one with HTTP, or without a port. */
async function operationsOf({ name, config, meter }: Role, work: Work & Partial<Ready>) {
  if (name === 'serve' || config.METRICS_PORT === 0) return null
  const ready = () => work.ready?.() ?? Promise.resolve(null)
  return serveOperations({ host: config.METRICS_HOST, port: config.METRICS_PORT, meter, ready })
}

/**
 * Ends the role after DRAIN_MS, whatever is in flight. It must be SIGKILL: `process.exit` waits for the threads of
 * libraries, and a running COPY may take minutes. Any role may be killed at any moment.
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
