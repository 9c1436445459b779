/** W3C trace context, copied from a record to everything it causes. */
export const traceHeader = 'traceparent'

/** The header as it came when it is a valid W3C trace context, else null: a broken one is not passed on. */
export function validTraceparent(header: string | undefined): string | null {
  if (header === undefined) return null
  const match = /^(?!ff)[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}$/.exec(header)
  if (match === null || /^0+$/.test(match[1] ?? '') || /^0+$/.test(match[2] ?? '')) return null
  return match[0]
}
