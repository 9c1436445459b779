import { z } from 'zod'
import { earliestMs, latestMs } from '../../events/envelope.ts'
import { RiverbankError } from '../../base/errors.ts'

/** A time in a query, for {@link parseTimeMs}. */
export const timeParameter = z.union([z.iso.datetime({ offset: true }), z.string().regex(/^\d{1,14}$/)])

const instant = z.iso.datetime({ offset: true })

/** RFC 3339, or whole milliseconds since 1970. Errors: `invalid_parameter`. */
export function parseTimeMs(name: string, value: string | number): number {
  const text = String(value)
  const ms = /^\d{1,14}$/.test(text) ? Number(text) : instant.safeParse(text).success ? Date.parse(text) : NaN
  if (!(ms >= earliestMs && ms <= latestMs))
    throw invalid(name, 'write RFC 3339, such as 2026-01-31T12:00:00Z, or milliseconds')
  return ms
}

/** A list in a query, for {@link parseList}; `item` is the pattern of one. */
export function listParameter(item: string): z.ZodType {
  return z.string().regex(new RegExp(`^ *${item} *(, *${item} *)*$`))
}

/** `a,b` as a list without repeats; null when the parameter is missing. Errors: `invalid_parameter`. */
export function parseList(name: string, value: string | undefined, lengthMax: number): string[] | null {
  if (value === undefined) return null
  const items = [...new Set(value.split(',').map((item) => item.trim()))]
  if (items.includes('')) throw invalid(name, 'write values separated by commas')
  if (items.length > lengthMax) throw invalid(name, `at most ${lengthMax} values are accepted`)
  return items
}

/**
 * The milliseconds that the client is ready to wait, or 0. A parameter beyond the limit is an error; a preference (RFC
 * 7240, in seconds) beyond it is cut. Errors: `invalid_parameter`.
 */
export function parseWaitMs(wait: string | undefined, prefer: string | undefined, waitMsMax: number): number {
  if (wait !== undefined) {
    if (!/^\d{1,9}$/.test(wait) || Number(wait) > waitMsMax) {
      throw invalid('wait', `write whole milliseconds, at most ${waitMsMax}`)
    }
    return Number(wait)
  }
  const seconds = /(?:^|[,;])\s*wait\s*=\s*(\d{1,6})\s*(?:[,;]|$)/i.exec(prefer ?? '')?.[1]
  return seconds === undefined ? 0 : Math.min(Number(seconds) * 1000, waitMsMax)
}

export function invalid(name: string, expectation: string): RiverbankError {
  return new RiverbankError('invalid_parameter', `${name}: ${expectation}`)
}

/** Parses a body with a schema. Errors: `invalid_request`, with the first mistakes. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, json: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const mistakes = parsed.error.issues.slice(0, 3).map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
  throw new RiverbankError('invalid_request', mistakes.join('; '))
}
