import { definitions } from '../installation/settings/definitions.ts'
import { repeat, type Repeated } from './lifecycle/repeat.ts'
import type { Role } from './lifecycle/role.ts'
import { measureInUse, type MeasuredModel } from './watched-model.ts'
import { isRiverbankError } from '../../base/errors.ts'
import { monitorMetrics } from '../../lake/history/monitor-metrics.ts'

/** Compares the models in use with their training periodically, and shows the result on /metrics. */
export function watchModel({ config, clock, logger, meter }: Role): Repeated {
  const compiled = definitions(config)
  const expose = monitorMetrics(meter)
  const span = { days: config.MONITOR_DAYS, labelDelay: config.MONITOR_LABEL_DELAY_DAYS }
  return repeat(clock, config.MONITOR_MS, async (signal) => {
    const measured: MeasuredModel[] = []
    for (const scored of compiled.lakeSchema.scored) {
      try {
        measured.push(await measureInUse(config, compiled, scored, span, signal))
      } catch (error) {
        if (signal.aborted) return
        // An empty lake or a model without a profile is no reason for an alarm.
        const isExpected = isRiverbankError(error) && (error.code === 'lake_empty' || error.code === 'profile_missing')
        const logged = { error, scored: scored.plural }
        logger[isExpected ? 'info' : 'warn']('the model was not compared with its training', logged)
      }
    }
    if (measured.length > 0) expose(measured, clock.nowMs())
  })
}
