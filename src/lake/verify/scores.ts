import type { FeatureSetManifest } from '../../core/feature-set.ts'
import type { Scorer } from '../../ports.ts'
import type { DecisionsInput } from './decisions.ts'
import { countOf, identifier, text, type LakeRow } from './lake-query.ts'
import { examplesMax, shown, type Violation } from './report.ts'
import { partitionEntity } from './working-tables.ts'

interface WrongScore {
  readonly partition: number
  readonly offset: number
  readonly logged: number
  readonly recomputed: number
}

/**
 * Scores from the logged vectors, with the model at hand. The vectors leave the database, because the model is not in
 * it: a chunk of rows at a time. `rows` is the SQL of the rows, `total` how many there are.
 */
export async function checkScores(input: DecisionsInput, scorer: Scorer, rows: string, total: number): Promise<void> {
  const { manifest, query, tally } = input
  let ofModel = 0
  const present = await query.rows(`SELECT DISTINCT service FROM (${rows})`)
  for (const { name, features } of manifest.services) {
    if (!present.some(({ service }) => service === name)) continue
    const where = `model_name = ${text(scorer.name)} AND model_version = ${text(scorer.version)} AND service = ${text(name)}`
    const missing = `coalesce(${features.map((feature) => `CASE WHEN ${identifier(feature)} IS NULL THEN ${text(feature)} END`).join(', ')})`
    const [counts] = await query.rows(
      `SELECT count(*) AS total, count(${missing}) AS cut FROM (${rows}) WHERE ${where}`,
    )
    ofModel += countOf(counts, 'total')
    if (countOf(counts, 'total') === 0) continue
    const cut = countOf(counts, 'cut')
    if (cut > 0) {
      const found = await query.rows(
        `SELECT ${placeSql(manifest)}, ${missing} AS feature FROM (${rows}) WHERE ${where} AND ${missing} IS NOT NULL
         ORDER BY source_partition, source_offset LIMIT ${examplesMax}`,
      )
      tally.mismatches(
        'score',
        cut,
        found.map((row) => ({ ...placeOf(manifest, row), feature: shown(row['feature']), logged: null })),
      )
    }
    await checkVectors(input, scorer, features, `(${rows}) WHERE ${where}${cut > 0 ? ` AND ${missing} IS NULL` : ''}`)
  }
  if (total > ofModel) tally.count('scores of other models', total - ofModel)
}

async function checkVectors(
  input: DecisionsInput,
  scorer: Scorer,
  features: readonly string[],
  from: string,
): Promise<void> {
  const { query, tally, onProgress } = input
  const wrong: WrongScore[] = []
  let wrongTotal = 0
  const vector = features.map((feature) => `${identifier(feature)}::DOUBLE`)
  // No logged score is NaN: here it stands for none.
  const sql = `SELECT log_partition::DOUBLE, log_offset::DOUBLE, coalesce(score, 'NaN'::DOUBLE), ${vector.join(', ')} FROM ${from}`
  await query.numbers(sql, async ([partitions, offsets, logged, ...columns], count) => {
    // float32 is the only rounding on the way to the model.
    const vectors = new Float32Array(count * features.length)
    for (const [i, column] of columns.entries()) {
      for (let row = 0; row < count; row += 1) vectors[row * features.length + i] = column[row] as number
    }
    const scores = await scorer.score(vectors, count)
    for (let row = 0; row < count; row += 1) {
      const [found, value] = [logged?.[row] ?? NaN, scores[row] ?? NaN]
      if (!Number.isNaN(found) && Object.is(found, value)) continue
      wrongTotal += 1
      if (wrong.length >= examplesMax) continue
      wrong.push({ partition: partitions?.[row] ?? 0, offset: offsets?.[row] ?? 0, logged: found, recomputed: value })
    }
    tally.count('scores recomputed', count)
    onProgress(count)
  })
  if (wrongTotal > 0) tally.mismatches('score', wrongTotal, await named(input, scorer, wrong))
}

async function named({ query, manifest }: DecisionsInput, scorer: Scorer, wrong: readonly WrongScore[]) {
  const examples: Violation['fields'][] = []
  for (const { partition, offset, logged, recomputed } of wrong) {
    const [row] = await query.rows(
      `SELECT ${placeSql(manifest)} FROM score_rows WHERE log_partition = ${partition} AND log_offset = ${offset}`,
    )
    const definition = `model ${scorer.name}/${scorer.version} on the vector of ${scorer.service}`
    const values = { logged: shown(logged), recomputed: shown(recomputed) }
    examples.push({ ...placeOf(manifest, row ?? {}), feature: 'score', ...values, definition })
  }
  return examples
}

/** Whose payment it was: the entity that is the partition key, its sequence number, the payment. */
export function placeSql(manifest: FeatureSetManifest): string {
  const { name } = partitionEntity(manifest)
  return `${identifier(`${name}_id`)} AS id, ${identifier(`${name}_sequence`)} AS sequence, payment_id`
}

export function placeOf(manifest: FeatureSetManifest, row: LakeRow): Violation['fields'] {
  const { name } = partitionEntity(manifest)
  return { entity: name, id: shown(row['id']), sequence: shown(row['sequence']), cause: shown(row['payment_id']) }
}
