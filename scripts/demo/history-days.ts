/** What a terminal's risk needs to know (a week ago, over 30 days) is not all there then, but most. */
export const historyDaysMax = 30
const historyDaysMin = 1

/**
 * An event that is scored takes so many times longer through log, processor and lake than to be simulated: 131 against 4.6 µs on two
 * quiet cores. What slows the machine slows both.
 */
const worthOfSimulating = 28

/** All of the history where that takes no longer than this. */
const allWithinMs = 45_000
/** Else so much of it: features and decisions shall be there within a minute, and the roles start meanwhile. */
const someWithinMs = 25_000

/** Days of history that this machine works off in good time, when it took `simulatedMs` to simulate `historyDaysMax` of them. */
export function daysInGoodTime(simulatedMs: number): number {
  const allMs = simulatedMs * worthOfSimulating
  if (allMs <= allWithinMs) return historyDaysMax
  return Math.max(historyDaysMin, Math.floor((historyDaysMax * someWithinMs) / allMs))
}
