import type { DerivedEvaluator } from '../../compile/reference-evaluator.ts'
import { decide } from '../../core/decision.ts'
import { modelName } from '../../core/generation.ts'
import type { FeatureSetManifest } from '../../core/feature-set.ts'
import type { Scorer } from '../../ports.ts'
import { identifier, text, type LakeCell, type LakeQuery } from './lake-query.ts'
import { shown, type Tally } from './report.ts'

export interface DecisionsInput {
  readonly query: LakeQuery
  readonly manifest: FeatureSetManifest
  readonly derive: DerivedEvaluator
  /** Null: scores are not recomputed. */
  readonly scorer: Scorer | null
  /** Further models whose scores are recomputed. */
  readonly otherScorers: readonly Scorer[]
  readonly tally: Tally
  readonly onProgress: (rows: number) => void
}

interface DecisionRow {
  readonly paymentId: string
  readonly features: Readonly<Record<string, number | null>>
  readonly score: LakeCell
  readonly decision: LakeCell
  readonly model: string
  readonly service: string
}

const fixedColumns = [
  'payment_id',
  'payment_time_ms',
  'amount_minor',
  'score',
  'decision',
  'model_name',
  'model_version',
]

/**
 * The rest of I3, row by row: derived features from the logged aggregated ones (lives.ts compares those), and from the
 * logged features the vector, the score and the decision, where the model is the one at hand. Bit for bit.
 */
export async function checkDecisions(input: DecisionsInput): Promise<void> {
  const { query, manifest, derive, tally } = input
  const aggregated = manifest.features.filter(({ entity }) => entity !== null)
  const derived = manifest.features.filter(({ entity }) => entity === null)
  const names = [...aggregated, ...derived].map(({ name }) => name)
  const columns = [...fixedColumns, 'service', ...names.map(identifier)].map((column) => `s.${column}`)
  const sql = `SELECT ${columns.join(', ')} FROM score_rows s
    JOIN applied a ON a.log_partition = s.log_partition AND a.log_offset = s.log_offset
    WHERE s.feature_set = ${text(manifest.hash)}`
  await query.each(sql, async (rows) => {
    const batch: DecisionRow[] = []
    for (const row of rows) {
      const [paymentId, timeMs, amountMinor, score = null, decision = null, modelName, modelVersion, service] = row
      const features = namedNumbers(names, row.slice(fixedColumns.length + 1))
      tally.count('score rows')
      tally.count('values', derived.length)
      const recomputed = derive(features, { amountMinor: Number(amountMinor), timeMs: Number(timeMs) })
      for (const { name, definition } of derived) {
        const [logged, value] = [features[name] ?? null, recomputed[name] ?? null]
        if (Object.is(logged, value)) continue
        const shownValues = { logged: shown(logged), recomputed: shown(value) }
        tally.mismatch(name, () => ({
          cause: String(paymentId),
          feature: name,
          ...shownValues,
          definition: JSON.stringify(definition),
        }))
      }
      const model = `${String(modelName)}/${String(modelVersion)}`
      batch.push({ paymentId: String(paymentId), features, score, decision, model, service: String(service) })
    }
    await checkScores(input, batch)
    input.onProgress(rows.length)
  })
}

function namedNumbers(names: readonly string[], cells: readonly LakeCell[]): Record<string, number | null> {
  const values: Record<string, number | null> = {}
  for (const [i, name] of names.entries()) {
    const cell = cells[i] ?? null
    values[name] = cell === null ? null : Number(cell)
  }
  return values
}

async function checkScores(input: DecisionsInput, rows: readonly DecisionRow[]): Promise<void> {
  const { scorer, otherScorers, tally } = input
  if (scorer === null) return
  let unknown = rows
  for (const model of [scorer, ...otherScorers]) {
    const name = modelName(model)
    await checkScoresOf(
      input,
      model,
      unknown.filter((row) => row.model === name),
    )
    unknown = unknown.filter((row) => row.model !== name)
  }
  if (unknown.length > 0) tally.count('scores of other models', unknown.length)
}

async function checkScoresOf(
  { manifest, tally }: DecisionsInput,
  scorer: Scorer,
  rows: readonly DecisionRow[],
): Promise<void> {
  const vectors = new Map(manifest.services.map(({ name, features }) => [name, features]))
  const complete: DecisionRow[] = []
  const values: number[] = []
  for (const row of rows) {
    const names = vectors.get(row.service)
    const vector = names?.map((name) => row.features[name] ?? null)
    if (vector === undefined) {
      tally.count('scores of other models')
      continue
    }
    if (vector.includes(null)) {
      const missing = names?.[vector.indexOf(null)] ?? ''
      tally.mismatch('score', () => ({ cause: row.paymentId, feature: missing, logged: null }))
      continue
    }
    complete.push(row)
    values.push(...(vector as number[]))
  }
  // float32 is the only rounding on the way to the model.
  const scores = await scorer.score(Float32Array.from(values), complete.length)
  for (const [i, { paymentId, score, decision }] of complete.entries()) {
    const value = scores[i] ?? null
    tally.count('scores recomputed')
    if (!Object.is(score, value)) {
      tally.mismatch('score', () => ({
        cause: paymentId,
        feature: 'score',
        logged: shown(score),
        recomputed: shown(value),
      }))
    }
    const decided = typeof score === 'number' ? decide(score, scorer.thresholds) : null
    if (decided !== decision) {
      tally.mismatch('decision', () => ({
        cause: paymentId,
        feature: 'decision',
        logged: shown(decision),
        recomputed: decided,
      }))
    }
  }
}
