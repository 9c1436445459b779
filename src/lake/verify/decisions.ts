import type { FeatureSql } from '../../compile/feature-sql.ts'
import type { FeatureManifest, FeatureSetManifest } from '../../core/feature-set.ts'
import type { Scorer } from '../../ports.ts'
import { countOf, identifier, text, type LakeQuery } from './lake-query.ts'
import { differentSql } from './recompute.ts'
import { examplesMax, shown, type Tally } from './report.ts'
import { checkScores, placeOf, placeSql } from './scores.ts'

export interface DecisionsInput {
  readonly query: LakeQuery
  readonly manifest: FeatureSetManifest
  readonly sql: FeatureSql
  /** Null: scores are not recomputed. */
  readonly scorer: Scorer | null
  /** Further models whose scores are recomputed. */
  readonly otherScorers: readonly Scorer[]
  readonly tally: Tally
  readonly onProgress: (rows: number) => void
}

/** A logged value and how it follows from others of its row; both are SQL over {@link rowsSql}. */
interface Following {
  readonly name: string
  readonly logged: string
  readonly recomputed: string
  readonly differs: string
  readonly definition: unknown
}

/**
 * The rest of I3, row by row: derived features from the logged aggregated ones (lives.ts compares those), and from the
 * logged features the vector, the score and the decision, where the model is the one at hand. Bit for bit. All but the
 * score itself is SQL; only counts and the first mismatches leave the database.
 */
export async function checkDecisions(input: DecisionsInput): Promise<void> {
  const { query, manifest, tally, scorer } = input
  const rows = rowsSql(input, await hasCopies(query))
  const derived = manifest.features.filter(({ entity }) => entity === null)
  const scorers = scorer === null ? [] : [scorer, ...input.otherScorers]
  const following = [...derived.map(followingDerived), ...scorers.map((one) => followingDecision(input, one))]
  const columns = following.map(({ differs }, i) => `count(*) FILTER (${differs}) AS differing_${i}`)
  const [counts] = await query.rows(
    `SELECT ${['count(*) AS total', 'count(policy_version) AS of_policies', ...columns].join(', ')} FROM (${rows})`,
  )
  const total = countOf(counts, 'total')
  tally.count('score rows', total)
  tally.count('values', total * derived.length)
  if (countOf(counts, 'of_policies') > 0)
    tally.count('decisions of a policy, not recomputed', countOf(counts, 'of_policies'))
  for (const [i, one] of following.entries()) {
    const differing = countOf(counts, `differing_${i}`)
    if (differing > 0) tally.mismatches(one.name, differing, await examplesOf(input, rows, one))
  }
  input.onProgress(total)
  let recomputed = 0
  for (const one of scorers) recomputed += await checkScores(input, one, rows)
  if (scorers.length > 0 && total > recomputed) tally.count('scores of other models', total - recomputed)
}

/** The rows of this feature set, first copies only, with `derived <feature>` beside every derived feature. */
function rowsSql({ manifest, sql }: DecisionsInput, hasCopies: boolean): string {
  const request = { amountMinor: 's.amount_minor::DOUBLE', timeMs: 's.payment_time_ms::DOUBLE' }
  const derived = sql.derived({
    feature: (name) => `s.${identifier(name)}::DOUBLE`,
    request: (field) => request[field],
  })
  const firstCopies = `SEMI JOIN applied a ON a.log_partition = s.log_partition AND a.log_offset = s.log_offset AND a.is_score`
  return `SELECT ${['s.*', ...derived].join(', ')} FROM score_rows s
    ${hasCopies ? firstCopies : ''} WHERE s.feature_set = ${text(manifest.hash)}`
}

/** Whether a row of `score_rows` stands in `applied` only through another: a copy, or an answer to another topic. */
async function hasCopies(query: LakeQuery): Promise<boolean> {
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
 * Rows without a whole vector have no decision to follow: they are mismatches of the score. What a policy decided does
 * not follow from the thresholds of the manifest.
 */
function followingDecision(input: DecisionsInput, { name, version, thresholds }: Scorer): Following {
  const decided = decisionSql('score', thresholds)
  const ofModel = ofModelSql(input.manifest, { name, version })
  const differs = `${ofModel} AND policy_version IS NULL AND decision IS DISTINCT FROM ${decided}`
  return { name: 'decision', logged: 'decision', recomputed: decided, differs, definition: thresholds }
}

/** What core/decision.ts says. To SQL a NaN is the largest number. */
export function decisionSql(score: string, { review, block }: Scorer['thresholds']): string {
  return `CASE WHEN ${score} IS NULL THEN NULL WHEN isnan(${score}) THEN 'approve'
    WHEN ${score} >= '${block}'::DOUBLE THEN 'block' WHEN ${score} >= '${review}'::DOUBLE THEN 'review' ELSE 'approve' END`
}

/** Scored by the model at hand, with a vector that is whole. */
function ofModelSql(manifest: FeatureSetManifest, model: Pick<Scorer, 'name' | 'version'>): string {
  const services = manifest.services.map(
    ({ name, features }) =>
      `(service = ${text(name)}${features.map((feature) => ` AND ${identifier(feature)} IS NOT NULL`).join('')})`,
  )
  const whole = services.length === 0 ? 'false' : `(${services.join(' OR ')})`
  return `model_name = ${text(model.name)} AND model_version = ${text(model.version)} AND ${whole}`
}

async function examplesOf({ query, manifest }: DecisionsInput, rows: string, one: Following) {
  const found = await query.rows(
    `SELECT ${placeSql(manifest)}, ${one.logged} AS logged, ${one.recomputed} AS recomputed
     FROM (${rows}) WHERE ${one.differs} ORDER BY source_partition, source_offset LIMIT ${examplesMax}`,
  )
  return found.map((row) => ({
    ...placeOf(manifest, row),
    feature: one.name,
    logged: shown(row['logged']),
    recomputed: shown(row['recomputed']),
    definition: JSON.stringify(one.definition),
  }))
}
