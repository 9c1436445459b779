import { isRecord } from '../../base/record.ts'
import type { SqlCatalog, SqlResult } from '../../ports/sql.ts'
import type { SessionLimits } from './sql-session.ts'

/** Between the runner and its query processes. */
export type ToProcess =
  /** Prepares the process for queries over this catalog. It runs only our SQL, so no query's deadline counts. */
  | { readonly kind: 'open'; readonly catalog: SqlCatalog; readonly limits: SessionLimits }
  | { readonly kind: 'query'; readonly sql: string; readonly timeoutMs: number; readonly limits: SessionLimits }

export type FromProcess =
  | { readonly kind: 'ready' }
  | { readonly kind: 'opened' }
  | { readonly kind: 'result'; readonly result: SqlResult }
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly canRetry: boolean }

/** Both sides are of one build: any other message is a mistake of the program. */
export function isToProcess(message: unknown): message is ToProcess {
  return isOfKind(message, ['open', 'query'] satisfies ToProcess['kind'][])
}

export function isFromProcess(message: unknown): message is FromProcess {
  return isOfKind(message, ['ready', 'opened', 'result', 'error'] satisfies FromProcess['kind'][])
}

function isOfKind(message: unknown, kinds: readonly string[]): boolean {
  return isRecord(message) && kinds.some((kind) => message['kind'] === kind)
}
