import type { MonitorReport } from './monitor.ts'
import type { OutcomeReport } from '../../scoring/outcome-tally.ts'
import type { Meter } from '../../ports/telemetry.ts'

interface Measured {
  readonly model: string
  readonly report: MonitorReport
}

/** Exports on /metrics what `riverbank monitor` prints. `value` is a feature of the model, or its score. */
export function monitorMetrics(meter: Meter): (measured: readonly Measured[], atMs: number) => void {
  const all: ReturnType<Meter['gauge']>[] = []
  const gauge = (name: string, help: string, labels: readonly string[] = []) => {
    const one = meter.gauge(`riverbank_model_${name}`, help, ['model', ...labels])
    all.push(one)
    return one
  }
  const at = gauge('watched_timestamp_seconds', 'When the model was last compared with its training')
  const events = gauge('watched_events', 'Events that were compared with the training')
  const psi = gauge('psi', 'Population stability index against the training rows', ['value'])
  const missing = gauge('missing_ratio', 'Share of events without the value', ['value'])
  const usual = gauge('usual_ratio', 'Share of events with the most frequent value of the training', ['value'])
  const judged = gauge('judged_events', 'Events old enough for their labels to have arrived')
  const alerts = gauge('alert_ratio', 'Share of the judged events that were reviewed or blocked')
  const precision = gauge('precision_ratio', 'Share of those alerts that labels report; NaN without alerts')
  const recall = gauge('recall_ratio', 'Share of the reported events that had an alert; NaN without any')
  const calibration = gauge(
    'calibration_error',
    'Mean distance of score and share of reported events over tenths by score',
  )
  const correlation = gauge('shadow_correlation', 'Correlation of the scores of a shadow and the model', ['shadow'])
  const difference = gauge('shadow_difference', 'Mean absolute difference of their scores', ['shadow'])
  const expose = ({ model, report }: Measured, atMs: number) => {
    at.set(atMs / 1_000, { model })
    events.set(report.events, { model })
    for (const { name, psi: index, nullRate, usualRate } of [report.score, ...report.features]) {
      psi.set(index, { model, value: name })
      missing.set(nullRate, { model, value: name })
      usual.set(usualRate, { model, value: name })
    }
    const { outcomes } = report
    judged.set(judgedEvents(outcomes), { model })
    alerts.set(outcomes.alertRate, { model })
    precision.set(outcomes.precision ?? NaN, { model })
    recall.set(outcomes.recall ?? NaN, { model })
    calibration.set(calibrationError(report.calibration), { model })
    for (const { shadow, correlation: found, meanDifference } of report.shadows) {
      correlation.set(found ?? NaN, { model, shadow })
      difference.set(meanDifference, { model, shadow })
    }
  }
  return (measured, atMs) => {
    // The model or its shadows may have changed: gauges of the former ones end.
    for (const one of all) one.clear()
    for (const one of measured) expose(one, atMs)
  }
}

export function judgedEvents({ confusion }: Pick<OutcomeReport, 'confusion'>): number {
  const { fraud, honest } = confusion
  return [fraud, honest].reduce((sum, { approve, review, block }) => sum + approve + review + block, 0)
}

/** The expected calibration error: |mean score − share of fraud|, weighted by events; NaN without events. */
export function calibrationError(bins: MonitorReport['calibration']): number {
  const events = bins.reduce((sum, bin) => sum + bin.events, 0)
  const distance = bins.reduce((sum, bin) => sum + bin.events * Math.abs(bin.meanScore - bin.fraudShare), 0)
  return distance / events
}
