import { names, type Config } from './config.ts'
import { startMaterializer } from './materialize-role.ts'
import { systemClock } from './role.ts'
import { loopClock } from '../clock/loop-clock.ts'
import { RiverbankError } from '../core/errors.ts'
import { pinoLogger } from '../edges/pino/logger.ts'
import { prometheusMeter } from '../edges/prometheus/meter.ts'
import type { Lake } from '../lake/lake.ts'
import { lagOf, readLogPositions } from '../lake/verify/frontier.ts'
import type { EventLog } from '../ports.ts'

const pollMs = 200
/** A lake that took nothing for so long is not being written. */
const stalledMs = 120_000

/**
 * Brings the lake to where both topics ended when this was called, with a materializer of its own beside those that may
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
  const lag = async () => {
    const snapshot = await lake.snapshot()
    return (lagOf(snapshot, positions, topics.events) ?? 0) + (lagOf(snapshot, positions, topics.scores) ?? 0)
  }
  let left = await lag()
  if (left === 0) return
  say(`the lake is ${left} records behind the log: materializing them`)
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
    for (let lateAtMs = loopClock.nowMs() + stalledMs; left > 0;) {
      await systemClock.sleep(pollMs, ending.signal)
      if (failures.length > 0) throw failures[0]
      const now = await lag()
      if (now < left) lateAtMs = loopClock.nowMs() + stalledMs
      left = now
      if (left > 0 && loopClock.nowMs() > lateAtMs) {
        throw new RiverbankError('lake_behind', `the lake is ${left} records behind the log, and takes no more`)
      }
    }
  } finally {
    await work.stop()
  }
}
