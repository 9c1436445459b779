import { dayMs, secondMs } from '../../src/base/units.ts'

/** Day 0 of the data set, a Sunday. */
export const datasetEpochMs = Date.UTC(2018, 3, 1)

/** What of a payment's time a shift must not change: nothing, its time of day, or that and the day of the week. */
export const keptTimes = ['none', 'day', 'week'] as const
export type KeptTime = (typeof keptTimes)[number]

const stepMs: Readonly<Record<KeptTime, number>> = { none: secondMs, day: dayMs, week: 7 * dayMs }

/**
 * Where day 0 lies (milliseconds UTC) when the range's end, `endSecond` after day 0, is moved to `endMs`. The
 * shift is rounded down to whole seconds (payments have no fractions), days or weeks: the range ends less than one of
 * them earlier.
 */
export function originEndingAt(endMs: number, endSecond: number, keep: KeptTime): number {
  const shiftMs = endMs - (datasetEpochMs + endSecond * 1000)
  return datasetEpochMs + Math.floor(shiftMs / stepMs[keep]) * stepMs[keep]
}
