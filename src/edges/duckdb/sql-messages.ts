import type { SqlCatalog, SqlResult } from '../../ports.ts'
import type { SessionLimits } from './sql-session.ts'

/** Between the runner and its query processes. */
export type ToProcess = {
  readonly kind: 'query'
  readonly sql: string
  readonly timeoutMs: number
  readonly limits: SessionLimits
  /** Null when it is the one of the query before. */
  readonly catalog: SqlCatalog | null
}

export type FromProcess =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly result: SqlResult }
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly canRetry: boolean }
