/**
 * Options of a {@link RiverbankError}: `canRetry` says that the same call may succeed later without any change,
 * `timedOut` that the other side did not answer in time: a smaller call may succeed sooner.
 */
export interface ErrorOptions {
  readonly canRetry?: boolean
  readonly timedOut?: boolean
  readonly cause?: unknown
}

/**
 * The one error class of the edges. `code` is stable (clients and dead letters carry it), the message is for people,
 * `canRetry` is the whole classification a caller needs. Expected outcomes inside the core are unions, not errors;
 * a violated assumption is a plain `Error` from {@link assert} and ends the process.
 */
export class RiverbankError<Code extends string = string> extends Error {
  readonly code: Code
  readonly canRetry: boolean
  readonly timedOut: boolean

  constructor(code: Code, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RiverbankError'
    this.code = code
    this.canRetry = options.canRetry ?? false
    this.timedOut = options.timedOut ?? false
  }
}

/** True for a {@link RiverbankError}, with this code when one is given. */
export function isRiverbankError(error: unknown, code?: string): error is RiverbankError {
  return error instanceof RiverbankError && (code === undefined || error.code === code)
}

/** Crashes on a programmer's error. Never used for input, networks or files. */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${typeof message === 'string' ? message : message()}`)
}

/** The compiler's proof that a union is handled completely. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
