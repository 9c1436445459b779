/** A terminal's risk (of a week ago, over 30 days) then has most of its history, though not all. */
export const historyDaysMax = 30
const historyDaysMin = 1

/**
 * A scored event takes so many times longer through log, processor and lake than its simulation: 131 against 4.6 µs on
 * two quiet cores. A slower machine slows both.
 */
const worthOfSimulating = 28

/** The demo takes the whole history if that takes no longer than this. */
const allWithinMs = 45_000
/**
 * Else as much as takes so long: features and decisions must be there within a minute, and the roles start meanwhile.
 */
const someWithinMs = 25_000

/**
 * The days of history for which this machine has time, if it took `simulatedMs` to simulate `historyDaysMax` of them.
 */
export function daysInGoodTime(simulatedMs: number): number {
  const allMs = simulatedMs * worthOfSimulating
  if (allMs <= allWithinMs) return historyDaysMax
  return Math.max(historyDaysMin, Math.floor((historyDaysMax * someWithinMs) / allMs))
}
