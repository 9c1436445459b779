import { identifier, literal } from '../../base/sql.ts'
import { join } from 'node:path'
import { RiverbankError } from '../../base/errors.ts'
import type { SqlCatalog } from '../../ports/sql.ts'
import type { Column, ColumnType } from '../../ports/tables.ts'
import type { FileEntry, TableSchema } from '../commit/commit.ts'
import { filesOf } from '../commit/lake.ts'
import type { Lake, Snapshot } from '../commit/lake.ts'
import type { LakeSchema } from './lake-schema.ts'
import { scoreType, scoreTypeOfColumns } from './scored-sql.ts'
import { tableNames } from './table.ts'
import type { TableName } from './table.ts'
import { derivedRelations, derivedTableFunctions } from './views.ts'

/**
 * The relations of a lake at its newest version: one view per table over the files of the manifest, then the views for
 * people (views.ts). A query that uses it reads one version from beginning to end.
 */
export async function sqlCatalog(lake: Lake, schema: LakeSchema): Promise<SqlCatalog> {
  return catalogOf(lake, await lake.snapshot(), schema)
}

/** {@link sqlCatalog} for many queries: builds it anew only when the lake has changed. */
export function sqlCatalogSource(lake: Lake, schema: LakeSchema): () => Promise<SqlCatalog> {
  let cached: SqlCatalog | null = null
  let version = -1
  return async () => {
    const state = await lake.log.refresh()
    if (cached !== null && state.version === version) return cached
    const snapshot = await lake.snapshot()
    cached = catalogOf(lake, snapshot, schema)
    version = snapshot.version
    return cached
  }
}

/** `placeOf`: where a file is, as an SQL expression; by default its absolute path. */
export function catalogOf(
  lake: Pick<Lake, 'dir' | 'pathOf'>,
  snapshot: Snapshot,
  schema: LakeSchema,
  placeOf: PlaceOf = (file) => literal(lake.pathOf(file)),
): SqlCatalog {
  const tables = tableNames.map((table) => tableView(placeOf, snapshot, table, schema))
  const [relations, functions] = [derivedRelations(schema), derivedTableFunctions(schema)]
  return {
    version: `${snapshot.version}:${schema.manifest.hash}`,
    setup: [
      ...[...tables, lostView(snapshot.lost)],
      ...relations.map(({ sql }) => sql),
      ...functions.map(({ sql }) => sql),
    ],
    relations: [...tableNames, lostRelation, ...relations.map(({ name }) => name)],
    tableFunctions: functions.map(({ name }) => name),
    directories: tableNames.map((table) => join(lake.dir, table)),
  }
}

export type PlaceOf = (file: Pick<FileEntry, 'path'>) => string

const lostRelation = 'lost_positions'

/** The positions that an operator declared lost: `covered` is above them, and no row has them. */
function lostView(lost: Snapshot['lost']): string {
  const columns = 'table_name, log_topic, log_partition, first_offset, last_offset, rows'
  const rows = lost.map(({ table, topic, partition, firstOffset, lastOffset, rows }) => {
    const name = table === null ? 'NULL' : literal(table)
    return `(${name}, ${literal(topic)}, ${partition}, ${firstOffset}, ${lastOffset}, ${rows ?? 'NULL'})`
  })
  const none = '(NULL, NULL, NULL, NULL, NULL, NULL)'
  const types = ['VARCHAR', 'VARCHAR', 'BIGINT', 'BIGINT', 'BIGINT', 'BIGINT']
  const cast = columns.split(', ').map((column, i) => `${column}::${types[i] ?? 'BIGINT'} AS ${column}`)
  return `CREATE VIEW ${lostRelation} AS SELECT ${cast.join(', ')}
    FROM (VALUES ${rows.length === 0 ? none : rows.join(', ')}) AS lost(${columns}) WHERE log_topic IS NOT NULL`
}

/**
 * Reads files schema by schema and casts each column to one declared type: reading them together by name alone would
 * turn conflicting types into VARCHAR in silence, and open every file before the query runs.
 */
function tableView(placeOf: PlaceOf, snapshot: Snapshot, table: TableName, lakeSchema: LakeSchema): string {
  const files = filesOf(snapshot, table)
  const known = snapshot.schemas.filter((schema) => schema.table === table)
  const used = new Set(files.map(({ schemaId }) => schemaId))
  const schemas = known.filter(({ id }) => used.has(id))
  if (schemas.length < used.size) {
    throw new RiverbankError('lake_corrupt', `files of table ${table} name a schema that no version declares`)
  }
  const columns = mergeColumns(table, [
    lakeSchema.tables[table],
    ...schemas.toReversed().map((schema) => schema.columns),
  ])
  const selects = schemas.map((schema) => {
    const paths = files.filter(({ schemaId }) => schemaId === schema.id).map(placeOf)
    return `SELECT ${castColumns(columns, schema, lakeSchema)}\n  FROM read_parquet([${paths.join(', ')}], hive_partitioning = false)`
  })
  if (selects.length === 0) selects.push(`SELECT ${castColumns(columns, null, lakeSchema)} WHERE false`)
  return `CREATE VIEW ${table} AS ${selects.join('\nUNION ALL\n')}`
}

/** The newest columns first, then those of older files only. A whole number that became a double is a double. */
function mergeColumns(table: TableName, lists: readonly (readonly Column[])[]): readonly Column[] {
  const merged = new Map<string, ColumnType>()
  for (const columns of lists) {
    for (const { name, type } of columns) {
      const other = merged.get(name)
      if (other === undefined) merged.set(name, type)
      else if (other !== type) merged.set(name, widened(table, name, other, type))
    }
  }
  return [...merged].map(([name, type]) => ({ name, type }))
}

function widened(table: TableName, name: string, a: ColumnType, b: ColumnType): ColumnType {
  const pair = [a, b].toSorted().join()
  if (pair === 'BIGINT,DOUBLE') return 'DOUBLE'
  throw new RiverbankError('lake_schema_conflict', `column ${table}.${name} is ${a} in some files and ${b} in others`)
}

/** What files of former versions call `<entity>_incarnation`. */
const formerName = (name: string) => name.replace(/_incarnation$/, '_born')

/**
 * A column that the file lacks, under its former name too, is NULL; the type of its scores follows from its other
 * columns.
 */
function castColumns(columns: readonly Column[], schema: TableSchema | null, lakeSchema: LakeSchema): string {
  const present = new Set(schema?.columns.map(({ name }) => name) ?? [])
  const missing = (name: string) => {
    if (schema?.table === 'scores' && name === scoreType) return scoreTypeOfColumns(lakeSchema, present)
    return schema?.table !== 'events' && present.has(formerName(name)) ? identifier(formerName(name)) : 'NULL'
  }
  return columns
    .map(({ name, type }) => `${present.has(name) ? identifier(name) : missing(name)}::${type} AS ${identifier(name)}`)
    .join(', ')
}
