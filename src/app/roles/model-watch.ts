import { definitions } from '../installation/settings/definitions.ts'
import { repeat, type Repeated } from './life/repeat.ts'
import type { Role } from './life/role.ts'
import { measureModel } from './watched-model.ts'
import { isRiverbankError } from '../../base/errors.ts'
import { monitorMetrics } from '../../lake/history/monitor-metrics.ts'

/** Compares the model that scores with its training now and then, and says so on /metrics. */
export function watchModel({ config, clock, logger, meter }: Role): Repeated {
  const compiled = definitions(config)
  const expose = monitorMetrics(meter)
  const span = { days: config.MONITOR_DAYS, labelDelay: config.MONITOR_LABEL_DELAY_DAYS }
  return repeat(clock, config.MONITOR_MS, async (signal) => {
    try {
      const { model, report } = await measureModel(config, compiled, undefined, span, signal)
      expose(model, report, clock.nowMs())
    } catch (error) {
      if (signal.aborted) return
      // A lake that is still empty, or a model that came without a profile, is nothing to be alarmed about.
      const isExpected = isRiverbankError(error) && (error.code === 'lake_empty' || error.code === 'profile_missing')
      logger[isExpected ? 'info' : 'warn']('the model was not compared with its training', { error })
    }
  })
}
