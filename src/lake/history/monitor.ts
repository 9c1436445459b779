import { OutcomeTally, type OutcomeReport } from '../../scoring/outcome-tally.ts'
import { stabilityIndex, withUsual, type Distribution, type TrainingProfile } from '../../scoring/drift.ts'
import { decisions, type Decision } from '../../scoring/output-events.ts'
import { identifier, literal } from '../../base/sql.ts'
import type { LakeSchema, ScoredColumns } from '../tables/lake-schema.ts'
import { observedWithin, trainingSlice, worthSql } from '../tables/views.ts'

interface Query {
  run(sql: string): Promise<void>
  rows(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

export interface MonitorOptions {
  readonly query: Query
  readonly schema: LakeSchema
  /** The type that the model scores. */
  readonly scored: ScoredColumns
  readonly model: { readonly name: string; readonly version: string }
  readonly profile: TrainingProfile
  /** Judges events of this time; `to` is left out. */
  readonly fromMs: number
  readonly toMs: number
  /** Outcomes are judged this much earlier, so that labels had time to arrive. */
  readonly labelDelayMs: number
}

export interface ValueDrift {
  readonly name: string
  readonly psi: number
  readonly nullRate: number
  /** Share, now and in training, of the value that was most frequent in training. */
  readonly usualRate: number
  readonly usualRateThen: number
}

/** A shadow beside the champion, over the events that both scored. */
export interface ShadowAgreement {
  /** `<name>/<version>`. */
  readonly shadow: string
  readonly events: number
  /** Mean absolute difference of the scores. */
  readonly meanDifference: number
  /** Pearson's correlation of the scores; null where one of them never varies. */
  readonly correlation: number | null
  /** Events without a score of the shadow: it failed. */
  readonly failed: number
}

export interface MonitorReport {
  readonly events: number
  readonly score: ValueDrift
  /** The most drifted first. */
  readonly features: readonly ValueDrift[]
  readonly outcomes: OutcomeReport
  readonly shadows: readonly ShadowAgreement[]
  /** Tenths of the judged events by score. */
  readonly calibration: readonly {
    readonly events: number
    readonly meanScore: number
    readonly fraudShare: number
  }[]
}

/** Measures a model from the lake: drift from its training, and how its decisions turned out. Reads only. */
export async function monitorModel(options: MonitorOptions): Promise<MonitorReport> {
  const { query, profile, labelDelayMs, fromMs, toMs } = options
  const ofFeatures = Object.entries(profile.features)
  const measured = [['score', profile.score] as const, ...ofFeatures]
  const [row = {}] = await query.rows(driftSql(options, measured))
  const events = Number(row['events'] ?? 0)
  const score = driftOf('score', profile.score, row, 0, events)
  const features = ofFeatures.map(([name, then], i) => driftOf(name, then, row, i + 1, events))
  const judged = { ...options, fromMs: fromMs - labelDelayMs, toMs: toMs - labelDelayMs }
  await query.run(`CREATE OR REPLACE TEMP TABLE judged AS
    SELECT score, decision, label, ${worthSql(options.scored)} AS worth, log_partition, log_offset
    FROM (${trainingSlice(options.schema, options.scored, scoredWithin(judged))})`)
  return {
    events,
    score,
    features: features.toSorted((a, b) => b.psi - a.psi || a.name.localeCompare(b.name)),
    outcomes: await outcomesOf(query),
    shadows: await shadowsOf(options),
    calibration: await calibrationOf(query),
  }
}

/** One scan: for each value how many are missing, how many usual, and how many below each edge. */
function driftSql(options: MonitorOptions, measured: readonly (readonly [string, Distribution])[]): string {
  const counts = measured.flatMap(([name, { edges, usual }], i) => {
    // The profile holds what the model saw: float32.
    const value = `${identifier(name)}::FLOAT`
    return [
      `count(*) FILTER (${value} IS NULL) AS nulls_${i}`,
      `count(*) FILTER (${value} = ${usual.value}::FLOAT) AS usual_${i}`,
      ...edges.map((edge, e) => `count(*) FILTER (${value} < ${edge}::FLOAT) AS below_${i}_${e}`),
    ]
  })
  return `SELECT count(*) AS events, ${counts.join(', ')} FROM scores WHERE ${scoredWithin(options)}`
}

function scoredWithin({ schema, scored, model, fromMs, toMs }: MonitorOptions): string {
  const named = `model_name = ${literal(model.name)} AND model_version = ${literal(model.version)}`
  return `${named} AND ${observedWithin(schema, scored, { fromMs, toMs })}`
}

function driftOf(
  name: string,
  then: Distribution,
  row: Readonly<Record<string, unknown>>,
  i: number,
  events: number,
): ValueDrift {
  const count = (column: string) => Number(row[column] ?? 0)
  const nulls = count(`nulls_${i}`)
  const present = Math.max(1, events - nulls)
  const bounds = [0, ...then.edges.map((_, e) => count(`below_${i}_${e}`)), events - nulls]
  const usualRate = count(`usual_${i}`) / present
  const shares = bounds.slice(1).map((bound, bin) => (bound - (bounds[bin] ?? 0)) / present)
  return {
    name,
    psi:
      events === 0
        ? 0
        : stabilityIndex(withUsual(shares, then, usualRate), withUsual(then.shares, then, then.usual.share)),
    nullRate: events === 0 ? 0 : nulls / events,
    usualRate,
    usualRateThen: then.usual.share,
  }
}

async function outcomesOf(query: Query): Promise<OutcomeReport> {
  const tally = new OutcomeTally({ reviewMinor: 0, falseBlockMinor: 0 })
  const rows = await query.rows(
    'SELECT decision, label, count(*) AS events, sum(worth)::BIGINT AS worth FROM judged GROUP BY decision, label',
  )
  for (const row of rows) {
    const decision = decisions.find((known): known is Decision => known === row['decision'])
    if (decision === undefined) continue
    tally.addMany(decision, Number(row['label']) === 1, Number(row['events']), Number(row['worth']))
  }
  return tally.report()
}

async function shadowsOf(options: MonitorOptions): Promise<readonly ShadowAgreement[]> {
  const rows = await options.query.rows(`SELECT shadow, count(other) AS events, avg(abs(score - other)) AS difference,
      corr(score, other) AS correlation, count(*) FILTER (other IS NULL) AS failed
    FROM (
      SELECT score, shadow, (shadows::JSON -> '$' ->> shadow)::DOUBLE AS other
      FROM (SELECT score, shadows, unnest(json_keys(shadows::JSON)) AS shadow FROM scores
            WHERE shadows IS NOT NULL AND ${scoredWithin(options)})
    ) GROUP BY shadow ORDER BY shadow`)
  return rows.map((row) => {
    const correlation = row['correlation']
    return {
      shadow: String(row['shadow']),
      events: Number(row['events']),
      meanDifference: Number(row['difference'] ?? 0),
      correlation: typeof correlation === 'number' && Number.isFinite(correlation) ? correlation : null,
      failed: Number(row['failed']),
    }
  })
}

async function calibrationOf(query: Query): Promise<MonitorReport['calibration']> {
  const rows = await query.rows(`SELECT count(*) AS events, avg(score) AS mean, avg(label) AS share FROM (
      SELECT score, label, ntile(10) OVER (ORDER BY score, log_partition, log_offset) AS tenth FROM judged
    ) GROUP BY tenth ORDER BY tenth`)
  return rows.map((row) => ({
    events: Number(row['events']),
    meanScore: Number(row['mean']),
    fraudShare: Number(row['share']),
  }))
}
