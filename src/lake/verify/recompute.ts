import type { FeatureSql } from '../../compile/feature-sql.ts'
import type { EntityManifest, FeatureManifest, FeatureSetManifest } from '../../core/feature-set.ts'
import { RiverbankError } from '../../core/errors.ts'
import { identifier, text, type LakeQuery } from './lake-query.ts'
import { eventColumns } from './working-tables.ts'

/** Entities recomputed by one query: what it needs of memory grows with what they did. */
const rowsPerChunk = 250_000

/**
 * Makes the temporary tables that checkLives compares with, from the rows of `applied` alone: `recomputed` has a row for
 * each read of this feature set, with `read_id` (see {@link readIdSql}) and every feature; `late` has id, born and
 * sequence of the observations that the state must have refused.
 */
export async function recomputeEntity(
  query: LakeQuery,
  sql: FeatureSql,
  manifest: FeatureSetManifest,
  entity: EntityManifest,
  onProgress: (rows: number) => void,
): Promise<void> {
  const [id, sequence, born] = ['id', 'sequence', 'born'].map((part) => `a.${identifier(`${entity.name}_${part}`)}`)
  const fields = sql.fields.map((field) => `a.${causeColumn(field)} AS ${columnOf(field)}`)
  const shared = `${id} AS id, ${born} AS born, ${sequence} AS sequence`
  const told = `SELECT ${[shared, 'a.observed_time_ms AS time_ms', 'a.event_type', ...fields].join(', ')}
    FROM applied a WHERE ${sequence} IS NOT NULL AND a.cause_valid`
  const asked = `SELECT ${readIdSql} AS read_id, ${shared}, a.observed_time_ms AS time_ms
    FROM applied a WHERE ${sequence} IS NOT NULL AND a.cause_valid AND a.is_score AND a.feature_set = ${text(manifest.hash)}`
  const [counted] = await query.rows(`SELECT count(*) AS total FROM applied a WHERE ${sequence} IS NOT NULL`)
  const total = Number(counted?.['total'] ?? 0)
  const chunks = Math.max(1, Math.ceil(total / rowsPerChunk))
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const ofChunk = `WHERE hash(id) % ${chunks} = ${chunk}`
    const relations = {
      observations: `(SELECT * FROM (${told}) ${ofChunk})`,
      reads: `(SELECT * FROM (${asked}) ${ofChunk})`,
      column: columnOf,
    }
    const [features, outcomes] = [sql.features(entity.name, relations), sql.outcomes(entity.name, relations)]
    const into = (table: string, rows: string) =>
      chunk === 0 ? `CREATE OR REPLACE TEMP TABLE ${table} AS ${rows}` : `INSERT INTO ${table} ${rows}`
    await query.run(into('recomputed', features))
    await query.run(into('late', outcomes))
    onProgress(Math.round(total / chunks))
  }
}

/** One number for the position of an answer in the score topic. */
export const readIdSql = 'a.log_partition * 4503599627370496 + a.log_offset'

function causeColumn(field: string): string {
  const column = eventColumns[field]
  if (column === undefined) {
    throw new RiverbankError('query_failed', `the table of events has no column for the field ${field}`)
  }
  return identifier(`cause_${column}`)
}

function columnOf(field: string): string {
  return identifier(`field_${field}`)
}

/** JSON of the features whose logged value is another than the recomputed one, bit for bit; NULL where all are equal. */
export function differingSql(features: readonly FeatureManifest[]): string {
  if (features.length === 0) return 'NULL'
  const differs = features.map(({ name, type }) => {
    const [logged, value] = [`s.${identifier(name)}`, `n.${identifier(name)}`]
    const sign = type === 'double' ? ` OR (${logged} = 0 AND signbit(${logged}) <> signbit(${value}))` : ''
    return `(${logged} IS DISTINCT FROM ${value}${sign})`
  })
  const told = features.map(
    ({ name }, i) =>
      `CASE WHEN ${differs[i]} THEN {'feature': ${text(name)}, 'logged': s.${identifier(name)}::DOUBLE, 'recomputed': n.${identifier(name)}::DOUBLE} END`,
  )
  return `CASE WHEN a.is_score AND n.read_id IS NOT NULL AND (${differs.join(' OR ')})
    THEN to_json(list_filter([${told.join(', ')}], x -> x IS NOT NULL))::VARCHAR END`
}
