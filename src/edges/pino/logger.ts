import { destination, pino, stdSerializers, stdTimeFunctions } from 'pino'
import type { DestinationStream, Logger as Pino } from 'pino'
import type { Fields, Logger } from '../../ports/telemetry.ts'

export interface PinoLoggerOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** On every line, such as `{ role: 'serve' }`. */
  readonly fields: Fields
  /** Gets the lines instead of stderr; for tests. */
  readonly to?: DestinationStream
}

/**
 * Writes JSON lines to stderr: `level` by name, `time` in ISO 8601, `message`, and the fields. A field named `error`
 * has its type, code, message, stack and causes. It writes synchronously, so that the last lines of a crashing process
 * are not lost.
 */
export function pinoLogger(options: PinoLoggerOptions): Logger {
  const base = pino(
    {
      level: options.level,
      base: { ...options.fields },
      messageKey: 'message',
      errorKey: 'error',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: stdSerializers.errWithCause },
    },
    options.to ?? destination({ dest: 2, sync: true }),
  )
  return wrap(base)
}

function wrap(inner: Pino): Logger {
  return {
    debug: (message, fields) => inner.debug(fields ?? {}, message),
    info: (message, fields) => inner.info(fields ?? {}, message),
    warn: (message, fields) => inner.warn(fields ?? {}, message),
    error: (message, fields) => inner.error(fields ?? {}, message),
    child: (fields) => wrap(inner.child({ ...fields })),
  }
}
