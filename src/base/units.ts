/** Brands: a number or string that says what it is. They cost nothing at run time. */
declare const brand: unique symbol
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name }

/** Milliseconds since 1970-01-01T00:00:00Z on the clock of the event's producer. Integer, may be negative. */
export type EventTimeMs = Brand<number, 'EventTimeMs'>
/** Milliseconds since the epoch on the log's clock: when the log accepted the record. Integer. */
export type AppendTimeMs = Brand<number, 'AppendTimeMs'>
/** Money in minor units (cents). A safe, non-negative integer. */
export type AmountMinor = Brand<number, 'AmountMinor'>
export type EventId = Brand<string, 'EventId'>

/** Brands a time of an event; the only place that does, because only the compiler knows a brand. */
export function eventTime(ms: number): EventTimeMs {
  return ms as EventTimeMs
}

export const secondMs = 1_000
export const minuteMs = 60 * secondMs
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

/** `30s`, `5m`, `1h`, `7d`: a positive whole number of one unit. */
export type Duration = `${number}${'s' | 'm' | 'h' | 'd'}`
/** A window's length; `lifetime` has no beginning. */
export type WindowLength = Duration | 'lifetime'

const unitMs: Readonly<Record<string, number>> = { s: secondMs, m: minuteMs, h: hourMs, d: dayMs }

export function windowMs(window: string): number {
  return window === 'lifetime' ? Infinity : durationMs(window)
}

/** Milliseconds of a {@link Duration}; throws a plain error, because a duration is written by a programmer. */
export function durationMs(duration: string): number {
  const match = /^(0|[1-9]\d*)([smhd])$/.exec(duration)
  const unit = match?.[2] === undefined ? undefined : unitMs[match[2]]
  if (match === null || unit === undefined) {
    throw new Error(`"${duration}" is not a duration: write a whole number and s, m, h or d, such as 30s, 5m, 7d`)
  }
  return Number(match[1]) * unit
}
