import type { Config } from './config.ts'
import { openEventLog } from './event-log.ts'
import { systemClock } from './role.ts'
import { ownCommand, superviseUntilSignalled, type Command, type RoleSpec } from './supervisor.ts'
import { createTopics } from './topics.ts'
import { pinoLogger } from '../edges/pino/logger.ts'
import type { Logger } from '../ports.ts'

/** Crashes of one role within ten minutes after which there is something that a restart does not mend. */
export const restartLimits = { crashesMax: 10, windowMs: 600_000, delayMsMin: 200, delayMsMax: 10_000 } as const

/** Between a role's own drain time and SIGKILL. */
const stopMarginMs = 1_500

/**
 * States live for a batch or for long: with a young generation of the default 16 MiB a fifth of the processor's time went
 * into copying those of the batch that was just then being handled. The requests of the HTTP role live as shortly. The materializer
 * would only let garbage lie for longer.
 */
const youngGeneration = ['--max-semi-space-size=64'] as const

/** The roles of one machine, each with the port of its own metrics when METRICS_PORT is set: port, port + 1, ... */
export function roleSpecs(config: Config, processors: number): RoleSpec[] {
  const metricsPort = (offset: number) =>
    config.METRICS_PORT === 0 ? {} : { RIVERBANK_METRICS_PORT: String(config.METRICS_PORT + offset) }
  return [
    ...Array.from({ length: processors }, (_, i): RoleSpec => ({
      role: 'process',
      count: 1,
      args: ['process'],
      nodeArgs: youngGeneration,
      env: metricsPort(i),
    })),
    { role: 'serve', count: 1, args: ['serve'], nodeArgs: youngGeneration },
    { role: 'materialize', count: 1, args: ['materialize'], env: metricsPort(processors) },
  ]
}

export function supervisorOptions(config: Config, logger: Logger, command: Command, roles: readonly RoleSpec[]) {
  return {
    roles,
    command,
    restart: restartLimits,
    stopTimeoutMs: config.DRAIN_MS + stopMarginMs,
    clock: systemClock,
    logger,
    onLine: (line: string) => {
      process.stderr.write(`${line}\n`)
    },
  }
}

/** `riverbank up`: topics, then all roles until SIGTERM. */
export async function runAll(config: Config, { processors }: { readonly processors: number }): Promise<number> {
  const logger = pinoLogger({ level: config.LOG_LEVEL, fields: { role: 'up', pid: process.pid } })
  const log = await openEventLog(config, logger)
  await createTopics(config, log)
  await log.close()
  await superviseUntilSignalled(supervisorOptions(config, logger, ownCommand(), roleSpecs(config, processors)))
  return 0
}
