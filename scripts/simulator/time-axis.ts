import { dayMs, secondMs } from '../../src/base/units.ts'

/** The part of an event's time that a shift must keep: none, its time of day, or that and the day of the week. */
export const keptTimes = ['none', 'day', 'week'] as const
export type KeptTime = (typeof keptTimes)[number]

const stepMs: Readonly<Record<KeptTime, number>> = { none: secondMs, day: dayMs, week: 7 * dayMs }

/**
 * The new day 0 (milliseconds UTC) of a range with day 0 at `epochMs` that moves to end at `endMs`. The shift is
 * rounded down to whole seconds, days or weeks: the range ends less than one of them earlier.
 */
export function originEndingAt(
  endMs: number,
  range: { readonly epochMs: number; readonly lengthMs: number },
  keep: KeptTime,
): number {
  const shiftMs = endMs - (range.epochMs + range.lengthMs)
  return range.epochMs + Math.floor(shiftMs / stepMs[keep]) * stepMs[keep]
}
