/** TIMESTAMP is UTC without a zone, to the microsecond. */
export type ColumnType = 'BOOLEAN' | 'BIGINT' | 'DOUBLE' | 'VARCHAR' | 'BLOB' | 'TIMESTAMP'

export interface Column {
  readonly name: string
  readonly type: ColumnType
}

/**
 * The values of one column, in row order. Numbers, booleans (0 and 1) and timestamps (milliseconds) are a
 * Float64Array in which NaN is NULL; the array may be longer than the table has rows.
 */
export interface ColumnData extends Column {
  readonly values: Float64Array | readonly (string | null)[] | readonly (Uint8Array | null)[]
}

/** Writes tables as Parquet. Errors: `lake_write_failed` (canRetry), `lake_rows_refused` (the disk is not to blame). */
export interface TableWriter {
  /** Writes a new file; every double keeps its bits, -0 included. The caller syncs and renames it. */
  write(path: string, columns: readonly ColumnData[], rows: number): Promise<void>
  /** Writes a new file with the rows of others of one schema, in the order given; answers how many. */
  merge(paths: readonly string[], path: string): Promise<number>
  close(): Promise<void>
}
