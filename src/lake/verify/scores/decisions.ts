import { identifier, literal } from '../../../base/sql.ts'
import { timeField } from '../../../engine/expression.ts'
import type { FeatureSql } from '../../../compile/sql/feature-sql.ts'
import type { FeatureManifest } from '../../../engine/feature-set.ts'
import type { LakeSchema } from '../../tables/lake-schema.ts'
import { byScoredType } from '../../tables/scored-sql.ts'
import type { Scorer } from '../../../ports/scorer.ts'
import { countOf, type LakeQuery } from '../lake-query.ts'
import { causeOfField, differentSql } from '../entities/recompute.ts'
import { examplesMax, shown } from '../report.ts'
import { placeOf, placeSql, scoredBySql, wholeSql, type RowsInput } from './score-rows.ts'
import { checkScores, checkShadows, cutColumn, sumOf } from './scores.ts'
import { checkPolicies, checkReasons, type LoadedPolicy, type PolicyOfModel } from './verdicts.ts'

export interface DecisionsInput extends RowsInput {
  readonly sql: FeatureSql
  /** The models whose scores are recomputed. */
  readonly scorers: readonly Scorer[]
  /** Null where the policy no longer exists. */
  readonly loadPolicy: (policy: PolicyOfModel) => Promise<LoadedPolicy | null>
}

/** A logged value and the SQL that computes it from others of its row, over {@link rowsSql}. */
interface Following {
  readonly name: string
  readonly logged: string
  readonly recomputed: string
  readonly differs: string
  readonly definition: unknown
}

/**
 * Checks the rest of I3 row by row, bit for bit: derived features from the logged aggregated ones (incarnations.ts
 * compares those), and from the logged features the vector, the score, the decision and its reasons, for the models at
 * hand. SQL computes all but models and policies; only counts and the first mismatches leave the database.
 */
export async function checkDecisions(input: DecisionsInput): Promise<void> {
  const { query, schema, tally, scorers } = input
  const rows = rowsSql(input, await needsFirstCopies(query))
  const derived = schema.manifest.features.filter(({ entity }) => entity === null)
  const following = [...derived.map(followingDerived), ...scorers.map((one) => followingDecision(input, one))]
  const parts = await countParts(input, rows, following)
  const total = sumOf(parts, 'total')
  tally.count('score rows', total)
  tally.count('values', total * derived.length)
  for (const [i, one] of following.entries()) {
    const differing = sumOf(parts, `differing_${i}`)
    if (differing > 0) tally.mismatches(one.name, differing, await examplesOf(input, rows, one))
  }
  input.onProgress(total)
  let recomputed = 0
  for (const one of scorers) {
    const ofModel = parts.filter((part) => part['model_name'] === one.name && part['model_version'] === one.version)
    if (ofModel.length === 0) continue
    recomputed += await checkScores(input, one, rows, ofModel)
    await checkReasons(input, one, rows)
  }
  if (sumOf(parts, 'shadowed') > 0) await checkShadows(input, scorers, rows)
  if (parts.some((part) => part['policy_version'] !== null)) await checkPolicies(input, input.loadPolicy, rows)
  await countOtherSets(input)
  if (total > recomputed) tally.count('scores of other models', total - recomputed)
}

/**
 * Counts in one pass, by model, service and policy: rows, rows with an incomplete vector, and rows that differ from
 * their recomputation.
 */
function countParts({ query, schema }: DecisionsInput, rows: string, following: readonly Following[]) {
  const columns = [
    ...['count(*) AS total', 'count(shadows) AS shadowed'],
    ...following.map(({ differs }, i) => `count(*) FILTER (${differs}) AS differing_${i}`),
    ...schema.manifest.services.map(({ name, features }) => {
      return `count(*) FILTER (service = ${literal(name)} AND NOT (${wholeSql(features)})) AS ${cutColumn(name)}`
    }),
  ]
  return query.rows(
    `SELECT model_name, model_version, service, policy_version, ${columns.join(', ')} FROM (${rows}) GROUP BY ALL`,
  )
}

/** Counts rows of other feature sets: their features mean something else here, so nothing proves them. */
async function countOtherSets({ query, schema, tally }: DecisionsInput): Promise<void> {
  const [counts] = await query.rows(
    `SELECT count(*) AS others FROM score_rows WHERE feature_set IS DISTINCT FROM ${literal(schema.manifest.hash)}`,
  )
  if (countOf(counts, 'others') > 0) tally.count('rows of other feature sets', countOf(counts, 'others'))
}

/** The first copies of this feature set's rows, with `derived <feature>` beside every derived feature. */
function rowsSql({ schema, sql }: DecisionsInput, needsFirstCopies: boolean): string {
  const isApplied = `applied a ON a.log_partition = s.log_partition AND a.log_offset = s.log_offset AND a.is_score`
  const isRepeated = (field: string) => schema.scored.every(({ repeats }) => repeats.some((one) => one.field === field))
  const looksAtEvents = !sql.eventFields.every(isRepeated)
  const firstCopies = needsFirstCopies ? `SEMI JOIN ${isApplied}` : ''
  const columns = {
    feature: (name: string) => `s.${identifier(name)}::DOUBLE`,
    request: (field: string) => `${requestSql(schema, field)}::DOUBLE`,
  }
  return sql.derived(columns, {
    select: 's.*',
    from: `score_rows s ${looksAtEvents ? `JOIN ${isApplied} AND a.cause_valid` : firstCopies} WHERE s.feature_set = ${literal(schema.manifest.hash)}`,
  })
}

/** A field of the scored event: its time and what its score repeats come from the score, the rest from the event. */
function requestSql(schema: LakeSchema, field: string): string {
  return byScoredType(
    schema,
    ({ repeats, timeMs }) => {
      if (field === timeField) return `s.${identifier(timeMs)}`
      const column = repeats.find((one) => one.field === field)
      return column === undefined ? `a.${causeOfField(schema, field)}` : `s.${identifier(column.name)}`
    },
    's.',
  )
}

/** Whether `applied` lacks a row of `score_rows`: a copy, or an answer to another topic. */
async function needsFirstCopies(query: LakeQuery): Promise<boolean> {
  const [counts] = await query.rows(
    'SELECT (SELECT count(*) FROM score_rows) AS total, (SELECT count(*) FROM applied WHERE is_score) AS applied',
  )
  return countOf(counts, 'total') !== countOf(counts, 'applied')
}

function followingDerived({ name, type, definition }: FeatureManifest): Following {
  const [logged, recomputed] = [`${identifier(name)}::DOUBLE`, identifier(`derived ${name}`)]
  return { name, logged, recomputed, differs: differentSql(logged, recomputed, type), definition }
}

/**
 * Leaves out rows without a whole vector, which are mismatches of the score, and decisions of policies, which do not
 * follow from the manifest's thresholds.
 */
function followingDecision(input: DecisionsInput, { name, version, thresholds }: Scorer): Following {
  const decided = decisionSql('score', thresholds)
  const ofModel = ofModelSql(input.schema, { name, version })
  const differs = `${ofModel} AND policy_version IS NULL AND decision IS DISTINCT FROM ${decided}`
  return { name: 'decision', logged: 'decision', recomputed: decided, differs, definition: thresholds }
}

/** The rule of scoring/decision.ts. SQL sorts NaN as the largest number. */
export function decisionSql(score: string, { review, block }: Scorer['thresholds']): string {
  return `CASE WHEN ${score} IS NULL THEN NULL WHEN isnan(${score}) THEN 'approve'
    WHEN ${score} >= '${block}'::DOUBLE THEN 'block' WHEN ${score} >= '${review}'::DOUBLE THEN 'review' ELSE 'approve' END`
}

/** Scored by the model at hand, with a vector that is whole. */
function ofModelSql({ manifest }: LakeSchema, model: Pick<Scorer, 'name' | 'version'>): string {
  const services = manifest.services.map(
    ({ name, features }) => `(service = ${literal(name)} AND ${wholeSql(features)})`,
  )
  return `${scoredBySql(model)} AND (${['false', ...services].join(' OR ')})`
}

async function examplesOf({ query, schema }: DecisionsInput, rows: string, one: Following) {
  const found = await query.rows(
    `SELECT ${placeSql(schema)}, ${one.logged} AS logged, ${one.recomputed} AS recomputed
     FROM (${rows}) WHERE ${one.differs} ORDER BY source_partition, source_offset LIMIT ${examplesMax}`,
  )
  return found.map((row) => ({
    ...placeOf(schema, row),
    feature: one.name,
    logged: shown(row['logged']),
    recomputed: shown(row['recomputed']),
    definition: JSON.stringify(one.definition),
  }))
}
