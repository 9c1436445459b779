import { RiverbankError, isRiverbankError } from '../../base/errors.ts'
import { isRecord } from '../../base/record.ts'

/** The group has gone on without this member. */
const fencedTypes: ReadonlySet<string> = new Set([
  'UNKNOWN_MEMBER_ID',
  'ILLEGAL_GENERATION',
  'REBALANCE_IN_PROGRESS',
  'FENCED_INSTANCE_ID',
])
const tooLargeTypes: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
/** Errors that no retry mends: an operator has to change a right, a setting or a version. */
const refusedTypes =
  /^(INVALID_|UNSUPPORTED_|POLICY_VIOLATION|SASL_|ILLEGAL_SASL|SECURITY_|TOPIC_DELETION_DISABLED|.*_AUTHORIZATION_FAILED)/
const refusedNames: ReadonlySet<string> = new Set([
  'KafkaJSSASLAuthenticationError',
  'KafkaJSServerDoesNotSupportApiKey',
  'KafkaJSNotImplemented',
])

interface Trace {
  readonly name: string | undefined
  readonly type: string | undefined
}

/** The error and what it wraps, outermost first: kafkajs wraps up to three times. */
function* chainOf(error: unknown): Generator<Trace & { readonly error: Readonly<Record<string, unknown>> }> {
  let current = error
  for (let depth = 0; depth < 8 && isRecord(current); depth += 1) {
    const { name, type, cause, errors }: { readonly [key in 'name' | 'type' | 'cause' | 'errors']?: unknown } = current
    yield {
      error: current,
      name: typeof name === 'string' ? name : undefined,
      type: typeof type === 'string' ? type : undefined,
    }
    current = cause ?? (Array.isArray(errors) ? errors[0] : undefined)
  }
}

/** Kafka's name of the protocol error inside a kafkajs error, such as `UNKNOWN_MEMBER_ID`; null when there is none. */
export function protocolTypeOf(error: unknown): string | null {
  for (const { type } of chainOf(error)) if (type !== undefined) return type
  return null
}

/** The partition of a fetch that was out of range; null for any other error. */
export function outOfRangeIn(error: unknown): { readonly topic: string; readonly partition: number } | null {
  for (const { name, error: link } of chainOf(error)) {
    if (name !== 'KafkaJSOffsetOutOfRange') continue
    const { topic, partition }: { readonly topic?: unknown; readonly partition?: unknown } = link
    if (typeof topic === 'string' && typeof partition === 'number') return { topic, partition }
  }
  return null
}

/**
 * Turns any rejection of kafkajs into the port's error. An error not known to be final becomes `log_unavailable`
 * (canRetry), because every caller's retries are bounded. `doing` completes "cannot ...".
 */
export function toLogError(error: unknown, doing: string): RiverbankError {
  if (isRiverbankError(error)) return error
  const type = protocolTypeOf(error)
  const message = `cannot ${doing}: ${type ?? (error instanceof Error ? error.message : String(error))}`
  if (type !== null) {
    if (fencedTypes.has(type)) return new RiverbankError('fenced', message, { cause: error })
    if (tooLargeTypes.has(type)) return new RiverbankError('record_too_large', message, { cause: error })
    if (type === 'UNKNOWN_TOPIC_OR_PARTITION') return new RiverbankError('topic_missing', message, { cause: error })
    if (refusedTypes.test(type)) return new RiverbankError('log_refused', message, { cause: error })
  }
  for (const { name } of chainOf(error)) {
    if (name !== undefined && refusedNames.has(name)) {
      return new RiverbankError('log_refused', message, { cause: error })
    }
  }
  return new RiverbankError('log_unavailable', message, { canRetry: true, timedOut: isTimeout(error), cause: error })
}

/** The broker or its replicas did not answer the request in time. */
function isTimeout(error: unknown): boolean {
  for (const { name, type } of chainOf(error)) {
    if (name === 'KafkaJSRequestTimeoutError' || type === 'REQUEST_TIMED_OUT') return true
  }
  return false
}
