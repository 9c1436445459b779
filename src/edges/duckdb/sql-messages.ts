import type { SqlCatalog, SqlResult } from '../../ports/sql.ts'
import type { SessionLimits } from './sql-session.ts'

/** Between the runner and its query processes. */
export type ToProcess =
  /** Makes ready for queries over this catalog. Only we speak here, so no query's deadline counts. */
  | { readonly kind: 'open'; readonly catalog: SqlCatalog; readonly limits: SessionLimits }
  | { readonly kind: 'query'; readonly sql: string; readonly timeoutMs: number; readonly limits: SessionLimits }

export type FromProcess =
  | { readonly kind: 'ready' }
  | { readonly kind: 'opened' }
  | { readonly kind: 'result'; readonly result: SqlResult }
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly canRetry: boolean }
