import { identifier, literal } from '../../../base/sql.ts'
import type { FeatureSql } from '../../../compile/sql/feature-sql.ts'
import type { EntityManifest, FeatureManifest } from '../../../engine/feature-set.ts'
import { RiverbankError } from '../../../base/errors.ts'
import type { LakeQuery } from '../lake-query.ts'
import type { LakeSchema } from '../../tables/lake-schema.ts'
import { causeColumn, shareSql } from '../working-tables.ts'

/** Rows recomputed by one query: what it needs of memory grows with them. */
const rowsPerChunk = 500_000

export interface Recomputation extends FieldSource {
  readonly query: LakeQuery
  readonly entity: EntityManifest
  readonly features: readonly FeatureManifest[]
  readonly onProgress: (rows: number) => void
}

/**
 * Makes the temporary tables that `checkIncarnations` reads, from the rows of `applied` alone: `recomputed` has a
 * row for each read of this feature set, with `read_id` (see {@link readIdSql}) and every feature; `late` has id,
 * incarnation and sequence of the observations that the state must have refused; `differing` has `read_id` and, as
 * JSON, the features whose logged value is another one, bit for bit; `disordered` the ids whose sequence numbers do not
 * follow one another.
 */
export async function recomputeEntity(input: Recomputation): Promise<void> {
  const { query, sql, entity } = input
  const sequence = `a.${identifier(`${entity.name}_sequence`)}`
  const [counted] = await query.rows(`SELECT count(*) AS total FROM applied a WHERE ${sequence} IS NOT NULL`)
  const total = Number(counted?.['total'] ?? 0)
  const chunks = Math.max(1, Math.ceil(total / rowsPerChunk))
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const entries = entriesSql(input, entity, chunks === 1 ? 'true' : shareSql(entity, chunk, chunks))
    const source = { entries: `(${entries})`, column: fieldColumn }
    await query.run(`CREATE OR REPLACE TEMP TABLE entries_of_chunk AS ${sql.entries(entity.name, source)}`)
    const relations = { entries: 'entries_of_chunk', column: fieldColumn, isPrepared: true }
    const [features, outcomes] = [sql.features(entity.name, relations), sql.outcomes(entity.name, relations)]
    const into = (table: string, rows: string) =>
      chunk === 0 ? `CREATE OR REPLACE TEMP TABLE ${table} AS ${rows}` : `INSERT INTO ${table} ${rows}`
    await query.run(into('recomputed', features))
    await query.run(into('late', outcomes))
    await query.run(into('disordered', disorderedSql))
    input.onProgress(Math.round(total / chunks))
  }
  await query.run('DROP TABLE entries_of_chunk')
  await query.run(`CREATE OR REPLACE TEMP TABLE differing AS ${differingSql(input.features)}`)
}

/** More than one incarnation, or a number that is not one more than the number before. */
const disorderedSql = `SELECT id FROM entries_of_chunk GROUP BY id
  HAVING min(incarnation) <> max(incarnation) OR bool_or(sequence IS DISTINCT FROM coalesce(previous + 1, incarnation))`

/** The fields that the definitions read, and their columns. */
export interface FieldSource {
  readonly sql: FeatureSql
  readonly schema: LakeSchema
}

/** What the generated SQL reads: all known events of an entity. */
export function entriesSql(
  { sql, schema }: FieldSource,
  { name }: Pick<EntityManifest, 'name'>,
  ofChunk = 'true',
): string {
  const [id, sequence, incarnation] = ['id', 'sequence', 'incarnation'].map(
    (part) => `a.${identifier(`${name}_${part}`)}`,
  )
  const fields = sql.fields.map((field) => `a.${causeOfField(schema, field)} AS ${fieldColumn(field)}`)
  const shared = `${id} AS id, ${incarnation} AS incarnation, ${sequence} AS sequence, a.observed_time_ms AS time_ms,
      a.event_time_ms, a.event_type`
  return `SELECT ${[shared, ...fields].join(', ')}, a.verdict IS NULL AS is_observed,
      CASE WHEN a.is_score AND a.is_ours THEN ${readIdSql} END AS read_id
    FROM applied a WHERE ${sequence} IS NOT NULL AND a.cause_valid AND ${ofChunk}`
}

/** The events of the partition-key entity, with their ids. */
export function ownEntriesSql({ sql, schema }: FieldSource, { name }: Pick<EntityManifest, 'name'>): string {
  const [id, sequence, incarnation] = ['id', 'sequence', 'incarnation'].map(
    (part) => `a.${identifier(`${name}_${part}`)}`,
  )
  const fields = sql.fields.map((field) => `a.${causeOfField(schema, field)} AS ${fieldColumn(field)}`)
  return `SELECT ${id} AS id, ${incarnation} AS incarnation, ${sequence} AS sequence, a.observed_time_ms AS time_ms, a.event_type,
      a.event_id, ${causePositionSql('a')} AS position, ${fields.join(', ')}
    FROM applied a WHERE ${sequence} IS NOT NULL AND a.cause_valid`
}

/** One number for the position of the event that a row of `applied` answers. */
export const causePositionSql = (row: string) => `${row}.source_partition * 4503599627370496 + ${row}.source_offset`

/** One number for the position of an answer in the score topic. */
export const readIdSql = 'a.log_partition * 4503599627370496 + a.log_offset'

/** The column of `applied` with a field of the event's data. */
export function causeOfField({ fields }: LakeSchema, field: string): string {
  const column = fields.get(field)
  if (column === undefined) {
    throw new RiverbankError('query_failed', `the table of events has no column for the field ${field}`)
  }
  return causeColumn(column.name)
}

/** The column of {@link entriesSql} with a field. */
export function fieldColumn(field: string): string {
  return identifier(`field_${field}`)
}

/** Values logged as incomplete are no mismatch; {@link createIncomplete} counts them apart. */
function differingSql(features: readonly FeatureManifest[]): string {
  if (features.length === 0) return 'SELECT NULL::BIGINT AS read_id, NULL::VARCHAR AS differing WHERE false'
  const differs = features.map(({ name, type }) => {
    const [logged, value] = [`s.${identifier(name)}`, `n.${identifier(name)}`]
    return `(${differentSql(logged, value, type)} AND NOT coalesce(list_contains(i.names, ${literal(name)}), false))`
  })
  const told = features.map(
    ({ name }, i) =>
      `CASE WHEN ${differs[i]} THEN {'feature': ${literal(name)}, 'logged': s.${identifier(name)}::DOUBLE, 'recomputed': n.${identifier(name)}::DOUBLE} END`,
  )
  return `SELECT n.read_id, to_json(list_filter([${told.join(', ')}], x -> x IS NOT NULL))::VARCHAR AS differing
    FROM recomputed n
    JOIN score_rows s ON n.read_id = ${readIdSql.replaceAll('a.', 's.')}
    LEFT JOIN incomplete i ON i.read_id = n.read_id
    WHERE ${differs.join(' OR ')}`
}

/**
 * Bit for bit: NULL and NaN are equal to themselves. A logged number was JSON, which writes -0 as 0: we never wrote a
 * logged -0.
 */
export function differentSql(logged: string, value: string, type: FeatureManifest['type']): string {
  const sign = type === 'double' ? ` OR (${logged} = 0 AND signbit(${logged}))` : ''
  return `(${logged} IS DISTINCT FROM ${value}${sign})`
}

/** Makes `incomplete`: by `read_id`, the features of a score that were flagged so, because the state missed history. */
export async function createIncomplete(query: LakeQuery): Promise<void> {
  await query.run(`CREATE TEMP TABLE incomplete AS
    SELECT ${readIdSql.replaceAll('a.', 's.')} AS read_id,
      list_filter(json_keys(s.flags), x -> json_extract_string(s.flags, '$."' || x || '"') = 'incomplete') AS names
    FROM score_rows s WHERE s.flags LIKE '%incomplete%'`)
}
