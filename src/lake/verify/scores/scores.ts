import { identifier, literal } from '../../../base/sql.ts'
import type { Scorer } from '../../../ports/scorer.ts'
import { countOf, numbersIn, type LakeRow } from '../lake-query.ts'
import { examplesMax, shown } from '../report.ts'
import { eachVector, placeOf, placeSql, scoredBySql, wholeSql, type RowsInput, type VectorRows } from './score-rows.ts'

/** By service: rows whose vector is not whole. */
export const cutColumn = (service: string) => identifier(`cut ${service}`)

export function sumOf(parts: readonly LakeRow[], column: string): number {
  return parts.reduce((sum, part) => sum + countOf(part, column), 0)
}

/**
 * Recomputes scores from the logged vectors with the model at hand, outside of the database. `rows` is the SQL of the
 * rows, `parts` the counts of this model's rows. Answers how many these are.
 */
export async function checkScores(
  input: RowsInput,
  scorer: Scorer,
  rows: string,
  parts: readonly LakeRow[],
): Promise<number> {
  const { schema, query, tally } = input
  let ofModel = 0
  for (const { name, features } of schema.manifest.services) {
    const ofService = parts.filter(({ service }) => service === name)
    const [total, cut] = [sumOf(ofService, 'total'), sumOf(ofService, `cut ${name}`)]
    ofModel += total
    if (total === 0) continue
    const where = `${scoredBySql(scorer)} AND service = ${literal(name)}`
    const missing = `coalesce(${features.map((feature) => `CASE WHEN ${identifier(feature)} IS NULL THEN ${literal(feature)} END`).join(', ')})`
    if (cut > 0) {
      const found = await query.rows(
        `SELECT ${placeSql(schema)}, ${missing} AS feature FROM (${rows}) WHERE ${where} AND ${missing} IS NOT NULL
         ORDER BY source_partition, source_offset LIMIT ${examplesMax}`,
      )
      tally.mismatches(
        'score',
        cut,
        found.map((row) => ({ ...placeOf(schema, row), feature: shown(row['feature']), logged: null })),
      )
    }
    const from = `FROM (${rows}) WHERE ${where}${cut > 0 ? ` AND ${missing} IS NULL` : ''}`
    await compareScores(
      input,
      scorer,
      { from, features },
      { name: 'score', logged: 'score', counted: 'scores recomputed' },
    )
  }
  return ofModel
}

/** Recomputes the scores of shadows; a missing one is no mismatch: the shadow had failed. */
export async function checkShadows(input: RowsInput, scorers: readonly Scorer[], rows: string): Promise<void> {
  const found = await input.query.rows(`SELECT shadow, count(*) AS scores FROM (
      SELECT unnest(json_keys(shadows::JSON)) AS shadow FROM (${rows}) WHERE shadows IS NOT NULL
    ) GROUP BY shadow ORDER BY shadow`)
  for (const row of found) {
    const scorer = scorers.find(({ name, version }) => `${name}/${version}` === row['shadow'])
    if (scorer === undefined) input.tally.count('scores of shadows not recomputed', countOf(row, 'scores'))
    else await checkShadow(input, scorer, rows)
  }
}

async function checkShadow(input: RowsInput, scorer: Scorer, rows: string): Promise<void> {
  const features = input.schema.manifest.services.find(({ name }) => name === scorer.service)?.features
  if (features === undefined) return
  const shadow = `${scorer.name}/${scorer.version}`
  const logged = `json_extract_string(shadows, ${literal(`$."${shadow}"`)})::DOUBLE`
  const from = `FROM (SELECT * FROM (${rows}) WHERE shadows IS NOT NULL) WHERE ${logged} IS NOT NULL AND ${wholeSql(features)}`
  const names = { name: `score of the shadow ${shadow}`, logged, counted: 'scores of shadows recomputed' }
  await compareScores(input, scorer, { from, features }, names)
}

async function compareScores(
  input: RowsInput,
  scorer: Scorer,
  rows: VectorRows,
  { name, logged, counted }: { readonly name: string; readonly logged: string; readonly counted: string },
): Promise<void> {
  const definition = `model ${scorer.name}/${scorer.version} on the vector of ${scorer.service}`
  // No logged score is NaN: NaN marks a missing one.
  const column = `coalesce(${logged}, 'NaN'::DOUBLE)`
  await eachVector(input, rows, [column], { name, definition }, async (chunk) => {
    const found = numbersIn(chunk.others[0])
    const scores = await scorer.score(chunk.vectors, chunk.rows)
    for (let row = 0; row < chunk.rows; row += 1) {
      const [score, value] = [found[row] ?? NaN, scores[row] ?? NaN]
      if (Number.isNaN(score) || !Object.is(score, value)) chunk.wrong(row, shown(score), shown(value))
    }
    input.tally.count(counted, chunk.rows)
    if (name === 'score') input.onProgress(chunk.rows)
  })
}
