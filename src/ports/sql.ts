/** What SQL may see: one snapshot of the lake, the same for the whole of a query. */
export interface SqlCatalog {
  /** Changes whenever anything else here does. */
  readonly version: string
  /** Statements that create the relations, in order. */
  readonly setup: readonly string[]
  readonly relations: readonly string[]
  readonly tableFunctions: readonly string[]
  /** Folders with the files that `setup` names. */
  readonly directories: readonly string[]
}

export type JsonType = 'number' | 'string' | 'boolean' | 'array' | 'object'

/** By type of column: see OpenAPI (serve/sql/sql-routes.ts). A BIGINT or HUGEINT beyond 2^53 is `sql_invalid`. */
export interface SqlResult {
  readonly columns: readonly { readonly name: string; readonly type: string; readonly json: JsonType }[]
  readonly rows: readonly (readonly unknown[])[]
  readonly rowCount: number
  /** True when the query had more rows than the limit. */
  readonly truncated: boolean
  readonly elapsedMs: number
}

/**
 * Errors: `sql_invalid`, `_forbidden`, `_too_large`, `_cancelled`, `_failed`; `_timeout`, `_busy`, `_starting`
 * canRetry.
 */
export interface SqlRunner {
  run(sql: string, options?: { readonly signal?: AbortSignal }): Promise<SqlResult>
  close(): Promise<void>
}
