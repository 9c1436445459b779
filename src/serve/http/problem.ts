import { isRiverbankError } from '../../base/errors.ts'
import { isProblemCode, problems, type ProblemCode, type ProblemKind } from './problem-codes.ts'
import type { ServeContext } from './route.ts'
import type { ProblemExtras } from './schemas.ts'

/** An error as RFC 9457 spells it. `extra` members lie beside the standard ones. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ProblemCode
}

export interface ProblemOptions {
  readonly extra?: ProblemExtras
  readonly headers?: Readonly<Record<string, string>>
}

/** `type` is as stable as the code: clients may switch on either. */
export function describeProblem(code: ProblemCode, detail: string): Problem {
  const { status, title } = problems[code]
  return { type: `urn:riverbank:problem:${code}`, title, status, detail, code }
}

/** An application/problem+json response, with Retry-After if waiting helps. */
export function problemResponse(
  c: ServeContext,
  code: ProblemCode,
  detail: string,
  options: ProblemOptions = {},
): Response {
  const requestId = c.get('requestId')
  const kind: ProblemKind = problems[code]
  const body = {
    ...describeProblem(code, detail),
    instance: `urn:riverbank:request:${requestId}`,
    requestId,
    ...options.extra,
  }
  return new Response(JSON.stringify(body), {
    status: kind.status,
    headers: {
      'content-type': 'application/problem+json',
      'x-request-id': requestId,
      ...(kind.retryAfterS === undefined ? {} : { 'retry-after': String(kind.retryAfterS) }),
      ...options.headers,
    },
  })
}

/**
 * Turns an error into a problem. An error with a code of the table keeps it, another that can be retried becomes
 * `unavailable`, and any other is our mistake: its message goes to the log only.
 */
export function problemOf(error: unknown): { readonly code: ProblemCode; readonly detail: string } {
  if (isRiverbankError(error)) {
    if (isProblemCode(error.code)) return { code: error.code, detail: error.message }
    if (error.canRetry) return { code: 'unavailable', detail: `${error.code}: try again` }
  }
  return { code: 'internal_error', detail: 'the log has the details, by request id' }
}
