import { readFile } from 'node:fs/promises'
import type { Config } from '../../installation/settings/config.ts'
import { definitions } from '../../installation/settings/definitions.ts'
import { scoredSpan, withLakeQuery } from '../../installation/lake/lake-query.ts'
import { openModel } from '../models/model-argument.ts'
import { table } from '../../command-line/table.ts'
import { RiverbankError } from '../../../base/errors.ts'
import type { OutcomeReport } from '../../../scoring/outcome-tally.ts'
import { dayMs } from '../../../base/units.ts'
import { compilePolicy, parsePolicy, type Decider, type Policy, type PolicyScope } from '../../../scoring/policy.ts'
import { judgedEvents } from '../../../lake/history/monitor-metrics.ts'
import { pluralOf } from '../../../base/plural.ts'
import { scoredOfService, type ScoredColumns } from '../../../lake/tables/lake-schema.ts'
import { runBacktest, type Backtest } from '../../../lake/history/backtest.ts'
import type { Scorer } from '../../../ports/scorer.ts'

export interface BacktestCommandOptions {
  readonly json?: boolean
  readonly model?: string
  /** A policy file; without it the model's own thresholds. */
  readonly policy?: string
  /** Milliseconds; without them all scored events of the lake. */
  readonly from?: number
  readonly to?: number
  readonly reviewCost: number
  readonly falseBlockCost: number
}

const progressMs = 2_000

function youngLabels({ reported }: ScoredColumns, days: number): string {
  return `note: a ${reported} of the newest ${days} days that nobody has reported yet counts as none; --to leaves these days out\n`
}

/**
 * `riverbank backtest`: compares a candidate with the past decisions. Writes nothing. Errors: `lake_empty`, those of
 * its parts.
 */
export async function backtestCommand(config: Config, options: BacktestCommandOptions): Promise<number> {
  const compiled = definitions(config)
  const { scorer, service } = await openModel(config, compiled, options.model)
  const stopping = new AbortController()
  const stop = () => stopping.abort(new RiverbankError('interrupted', 'stopped before it was done'))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const decider = await deciderOf(scorer, service, options.policy)
    const cost = { reviewMinor: options.reviewCost, falseBlockMinor: options.falseBlockCost }
    const startedMs = performance.now()
    const scored = scoredOfService(compiled.lakeSchema, service.name)
    const result = await withLakeQuery(config, compiled, async (query) => {
      const span = await scoredSpan(query, compiled.lakeSchema, scored)
      if (span === null) throw new RiverbankError('lake_empty', `the lake has no scored ${scored.plural}`)
      const range = { fromMs: options.from ?? span.firstMs, toMs: options.to ?? span.lastMs + 1 }
      if (range.toMs > span.lastMs - config.MONITOR_LABEL_DELAY_DAYS * dayMs) {
        process.stderr.write(youngLabels(scored, config.MONITOR_LABEL_DELAY_DAYS))
      }
      const { signal } = stopping
      const parts = {
        query,
        schema: compiled.lakeSchema,
        scored,
        model: scorer,
        vector: service.vector,
        names: service.names,
        decide: decider.decide,
        cost,
        signal,
        onProgress: progress(),
      }
      return runBacktest({ ...parts, ...range })
    })
    if (judgedEvents(result.champion) + result.incomplete === 0) {
      throw new RiverbankError('lake_empty', 'the lake has no scored events of that time')
    }
    const model = `${scorer.name}/${scorer.version}`
    const report = { model, policy: decider.version, seconds: (performance.now() - startedMs) / 1_000, ...result }
    process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : render(report, scored.reported))
    return 0
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
    await scorer.close()
  }
}

/** A policy file, else the policy that was named with the model, else the model's own thresholds. */
async function deciderOf(scorer: Scorer, service: PolicyScope, file: string | undefined): Promise<Decider> {
  if (file === undefined && scorer.decider !== undefined) return scorer.decider
  const own = { format: 2, version: 'none', thresholds: { ...scorer.thresholds } }
  const policy = file === undefined ? parsePolicy(own) : await readPolicy(file)
  return compilePolicy(policy, service)
}

/** Errors: `policy_invalid`. */
export async function readPolicy(path: string): Promise<Policy> {
  try {
    return parsePolicy(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (error instanceof RiverbankError) throw new RiverbankError(error.code, `${path}: ${error.message}`)
    throw new RiverbankError('policy_invalid', `${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function progress(): (done: number) => void {
  let saidMs = performance.now()
  return (done) => {
    if (performance.now() - saidMs < progressMs) return
    saidMs = performance.now()
    process.stderr.write(`${done} events\n`)
  }
}

function render(
  report: Backtest & { readonly model: string; readonly policy: string; readonly seconds: number },
  reported: string,
): string {
  const { champion, candidate } = report
  const rows = Object.entries(figures(champion, reported)).map(([figure, then]) => ({
    figure,
    'as decided': then,
    [`${report.model}, policy ${report.policy}`]: figures(candidate, reported)[figure],
  }))
  const left = report.incomplete === 0 ? '' : `${report.incomplete} events lack a value the model needs: left out\n`
  return (
    `${table(rows)}\nchanged decisions\n${table(report.changed.map(({ frauds, ...move }) => ({ ...move, [pluralOf(reported)]: frauds })))}\ndecided by\n` +
    table(Object.entries(report.decidedBy).map(([by, events]) => ({ by, events }))) +
    `${left}${judgedEvents(champion)} events in ${report.seconds.toFixed(1)} s\n`
  )
}

function figures(report: OutcomeReport, reported: string): Record<string, string> {
  const share = (value: number | null) => (value === null ? '-' : `${(100 * value).toFixed(2)}%`)
  const money = (minor: number) => (minor / 100).toFixed(2)
  const { fraud, honest } = report.confusion
  return {
    [`${reported}: approved / reviewed / blocked`]: `${fraud.approve} / ${fraud.review} / ${fraud.block}`,
    [`no ${reported}: approved / reviewed / blocked`]: `${honest.approve} / ${honest.review} / ${honest.block}`,
    'alert rate': share(report.alertRate),
    precision: share(report.precision),
    recall: share(report.recall),
    'precision of blocks': share(report.blockPrecision),
    'recall of blocks': share(report.blockRecall),
    'value caught': money(report.valueCaughtMinor),
    'value missed': money(report.valueMissedMinor),
    cost: money(report.costMinor),
  }
}
