import { dayMs, secondMs } from '../../src/base/units.ts'

/** What of an event's time a shift must not change: nothing, its time of day, or that and the day of the week. */
export const keptTimes = ['none', 'day', 'week'] as const
export type KeptTime = (typeof keptTimes)[number]

const stepMs: Readonly<Record<KeptTime, number>> = { none: secondMs, day: dayMs, week: 7 * dayMs }

/**
 * Where day 0 lies (milliseconds UTC) when a range whose day 0 is `epochMs`, and which ends so long after it, is moved to end at
 * `endMs`. The shift is rounded down to whole seconds, days or weeks: the range ends less than one of them earlier.
 */
export function originEndingAt(
  endMs: number,
  range: { readonly epochMs: number; readonly lengthMs: number },
  keep: KeptTime,
): number {
  const shiftMs = endMs - (range.epochMs + range.lengthMs)
  return range.epochMs + Math.floor(shiftMs / stepMs[keep]) * stepMs[keep]
}
