import { names, type Config } from '../settings/config.ts'
import { lakeLag, untilNoneLeft } from './lake-progress.ts'
import { startMaterializer } from '../../roles/materialize-role.ts'
import { systemClock } from '../../roles/lifecycle/role.ts'
import { RiverbankError } from '../../../base/errors.ts'
import { pinoLogger } from '../../../edges/pino/logger.ts'
import { prometheusMeter } from '../../../edges/prometheus/meter.ts'
import type { Lake } from '../../../lake/commit/lake.ts'
import { readLogPositions } from '../../../lake/verify/watermark.ts'
import type { EventLog } from '../../../ports/log.ts'

/**
 * Brings the lake to the ends that both topics had at the call, with a materializer of its own beside those that may
 * run. Errors: `lake_behind`, and those of log and lake.
 */
export async function bringLakeToEnd(
  config: Config,
  log: EventLog,
  lake: Lake,
  say: (line: string) => void,
): Promise<void> {
  const { topics, groups } = names(config)
  const positions = await readLogPositions(log, topics, groups.process)
  const lag = () => lakeLag(lake, positions, topics)
  const behind = await lag()
  if (behind === 0) return
  say(`the lake is ${behind} records behind the log: materializing them`)
  const ending = new AbortController()
  const logger = pinoLogger({
    level: config.LOG_LEVEL === 'silent' ? 'silent' : 'warn',
    fields: { role: 'materialize' },
  })
  const meter = prometheusMeter({ processMetrics: false, constantLabels: {} })
  const work = await startMaterializer({
    name: 'materialize',
    config: { ...config, MONITOR_MS: 0 },
    logger,
    meter,
    clock: systemClock,
    roleStates: { down: () => [] },
    ending: ending.signal,
  })
  const failures: unknown[] = []
  work.finished.catch((error: unknown) => failures.push(error))
  try {
    const onLook = () => {
      if (failures.length > 0) throw failures[0]
    }
    const left = await untilNoneLeft(lag, { clock: systemClock, onLook })
    if (left > 0) {
      throw new RiverbankError('lake_behind', `the lake is ${left} records behind the log, and takes no more`)
    }
  } finally {
    await work.stop()
  }
}
