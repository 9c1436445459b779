import { assert } from '../../base/errors.ts'

export type SqlValue = string | number | bigint | boolean | Uint8Array | null
export type LakeRow = Readonly<Record<string, SqlValue>>

/** DOUBLE, in which NULL is anything, or VARCHAR. */
export type LakeColumn = Float64Array | readonly (string | null)[]

/** A database over the lake for this project's own SQL; doubles keep their bits. src/edges/duckdb/query.ts is one. */
export interface LakeQuery {
  run(sql: string): Promise<void>
  /** All rows at once: for results that fit into memory. */
  rows(sql: string): Promise<readonly LakeRow[]>
  /** Rows as they come, each in the order of the columns. */
  each(sql: string, take: (rows: readonly (readonly SqlValue[])[]) => void | Promise<void>): Promise<void>
  /** Columns as they come, `rows` values in each: DOUBLE as numbers (NULL is anything), VARCHAR as text. */
  columns(sql: string, take: (columns: readonly LakeColumn[], rows: number) => void | Promise<void>): Promise<void>
  close(): void
}

/** A database that answers on several connections at the same time; each has temporary tables of its own. */
export interface LakeDatabase extends LakeQuery {
  /** Another connection. Close it before the database. */
  beside(): Promise<LakeQuery>
  /** Running and later queries of all connections end with `query_failed`. */
  interrupt(): void
}

/** A count from SQL; 0 when it is missing. */
export function countOf(row: LakeRow | undefined, column: string): number {
  return Number(row?.[column] ?? 0)
}

export function numbersIn(column: LakeColumn | undefined): Float64Array {
  assert(column instanceof Float64Array, 'the column was asked for as DOUBLE')
  return column
}

export function textsIn(column: LakeColumn | undefined): readonly (string | null)[] {
  assert(column !== undefined && !(column instanceof Float64Array), 'the column was asked for as VARCHAR')
  return column
}
