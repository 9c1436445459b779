import type { Config } from '../../installation/settings/config.ts'
import { definitions } from '../../installation/settings/definitions.ts'
import { table } from '../../command-line/table.ts'
import { pluralOf } from '../../../base/plural.ts'
import { measureInUse, measureNamed, type MeasuredModel, type WatchedSpan } from '../../roles/watched-model.ts'
import type { MonitorReport } from '../../../lake/history/monitor.ts'
import { judgedEvents } from '../../../lake/history/monitor-metrics.ts'

export interface MonitorCommandOptions extends WatchedSpan {
  readonly json?: boolean
  readonly model?: string
  /** Limits; a value beyond one of them makes the exit code 1. */
  readonly maxPsi: number
  readonly maxNullRate: number
  readonly minPrecision: number
  readonly minRecall: number
}

/** A value beyond its limit, as text. */
type Alarm = string

/**
 * `riverbank monitor`: 0 when everything is within its limits, 1 when not; for the named model, or for the one in use
 * of each scored type (with several types JSON is a list). Prints all measurements before it throws the first error:
 * `lake_empty`, `profile_missing`, `invalid_model`.
 */
export async function monitorCommand(config: Config, options: MonitorCommandOptions): Promise<number> {
  const compiled = definitions(config)
  const { scored } = compiled.lakeSchema
  const { model } = options
  const asked =
    model === undefined
      ? scored.map((one) => measureInUse(config, compiled, one, options))
      : [measureNamed(config, compiled, model, options)]
  const settled = await Promise.allSettled(asked)
  const measured = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const told = measured.map((one) => ({ ...one, alarms: alarmsOf(one.report, options) }))
  const failed = settled.find((one) => one.status === 'rejected')
  if (told.length > 0 && options.json === true) {
    const objects = told.map(({ model, report, alarms }) => ({ model, ...report, alarms }))
    process.stdout.write(`${JSON.stringify(asked.length === 1 ? objects[0] : objects)}\n`)
  } else process.stdout.write(told.map(render).join('\n'))
  if (failed !== undefined) throw failed.reason
  return told.every(({ alarms }) => alarms.length === 0) ? 0 : 1
}

function alarmsOf(report: MonitorReport, limits: MonitorCommandOptions): Alarm[] {
  const values = [report.score, ...report.features]
  const drifted = values
    .filter(({ psi }) => psi > limits.maxPsi)
    .map(({ name, psi }) => `psi of ${name} is ${psi.toFixed(3)}`)
  const missing = values
    .filter(({ nullRate }) => nullRate > limits.maxNullRate)
    .map(({ name, nullRate }) => `${name} is missing in ${(100 * nullRate).toFixed(2)}% of the events`)
  const { precision, recall } = report.outcomes
  const low = (name: string, value: number | null, least: number) =>
    value !== null && value < least ? [`${name} of alerts is ${value.toFixed(3)}`] : []
  const empty = report.events === 0 ? ['no event was scored with this model'] : []
  const outcomes = [...low('precision', precision, limits.minPrecision), ...low('recall', recall, limits.minRecall)]
  return [...empty, ...drifted, ...missing, ...outcomes]
}

function render({ model, scored, report, alarms }: MeasuredModel & { readonly alarms: readonly Alarm[] }): string {
  const reported = pluralOf(scored.reported)
  const percent = (value: number | null) => (value === null ? '-' : `${(100 * value).toFixed(2)}%`)
  const drift = [report.score, ...report.features].map((value) => ({
    value: value.name,
    psi: Number(value.psi.toFixed(4)),
    missing: percent(value.nullRate),
    usual: percent(value.usualRate),
    'usual in training': percent(value.usualRateThen),
  }))
  const { outcomes } = report
  const judged =
    `${judgedEvents(outcomes)} events with labels: ${outcomes.frauds} ${reported}, alert rate ${percent(outcomes.alertRate)}, ` +
    `precision ${percent(outcomes.precision)}, recall ${percent(outcomes.recall)}`
  const calibration = report.calibration.map((bin) => ({
    events: bin.events,
    'mean score': Number(bin.meanScore.toFixed(5)),
    [`share of ${reported}`]: Number(bin.fraudShare.toFixed(5)),
  }))
  const shadows = report.shadows.length === 0 ? '' : `${table(report.shadows.map((one) => ({ ...one })))}\n`
  const end =
    alarms.length === 0 ? 'everything is within its limits\n' : alarms.map((alarm) => `ALARM ${alarm}\n`).join('')
  return `${model}, ${report.events} events\n\n${table(drift)}\n${judged}\n\n${table(calibration)}\n${shadows}${end}`
}
