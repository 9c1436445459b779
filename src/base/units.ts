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
