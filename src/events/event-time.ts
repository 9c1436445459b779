import type { EventErrorCode } from './event-error-code.ts'
import { dayMs, hourMs, minuteMs, secondMs } from '../base/units.ts'

/** How far the times of an event may lie from the moment the log takes it, in milliseconds. */
export interface EventTimeLimits {
  /** Of `time`: how old. */
  readonly pastMs: number
  /** Of the time of the observation: how old. The same where that is `time`. */
  readonly observedPastMs: number
  /** Of either: how far ahead; `eventLimits.maxFutureMs` at most. */
  readonly futureMs: number
}

/**
 * Older than any window looks back, far younger than what clocks without a battery say (1970, 2000) and what seconds
 * are when they are read as milliseconds.
 */
export const usualPastMs = 90 * dayMs

/**
 * Header of records of history: no time in the event is older than this one (RFC 3339). It opens the past that far, and
 * no further. A producer that may write to the log may set it; over HTTP none may.
 */
export const historyHeader = 'riverbank-history-from'

/** The door through which an event comes. */
export interface EventDoor {
  /** What {@link historyHeader} says. */
  readonly historyFrom?: string
  /**
   * How much narrower than its limits the door is. What a door before the log accepts by its own clock, the log's must
   * accept too, and later.
   */
  readonly marginMs?: number
}

/** The door of HTTP: its clock and the log's may differ, and an event takes time from one to the other. */
export const httpDoor: EventDoor = { marginMs: minuteMs }

export interface EventTimes {
  readonly timestamp: number
  readonly observedAt: number
}

export interface EventTimeFault {
  readonly code: Extract<EventErrorCode, 'event_too_old' | 'event_in_future'>
  readonly detail: string
}

/** What is wrong with the times of an event that comes at `nowMs`; null when nothing is. */
export function timeFault(
  { timestamp, observedAt }: EventTimes,
  { pastMs, observedPastMs, futureMs }: EventTimeLimits,
  nowMs: number,
  { historyFrom, marginMs = 0 }: EventDoor,
): EventTimeFault | null {
  const latestMs = Math.max(timestamp, observedAt)
  if (latestMs > nowMs + futureMs - marginMs) {
    const [ahead, limit] = compared(latestMs - nowMs, futureMs - marginMs)
    const detail = `${ahead} ahead, at most ${limit} are accepted${timeHint(latestMs, nowMs)}`
    return { code: 'event_in_future', detail }
  }
  const isOld = timestamp < nowMs - pastMs + marginMs
  if (!isOld && observedAt >= nowMs - observedPastMs + marginMs) return null
  const [timeMs, limitMs] = isOld ? [timestamp, pastMs] : [observedAt, observedPastMs]
  const fromMs = historyFrom === undefined ? Infinity : historyStartMs(historyFrom)
  if (timestamp >= fromMs && observedAt >= fromMs) return null
  const what = isOld ? 'time' : 'the time of the observation'
  const [age, limit] = compared(nowMs - timeMs, limitMs - marginMs)
  const detail = `${what} is ${age} ago, at most ${limit} are accepted`
  return { code: 'event_too_old', detail: `${detail}${timeHint(timeMs, nowMs)}${historyHint(historyFrom, fromMs)}` }
}

/** NaN for what is no time: it opens nothing. */
function historyStartMs(text: string): number {
  return /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : NaN
}

function historyHint(historyFrom: string | undefined, fromMs: number): string {
  if (historyFrom === undefined) return `; history comes through the log with the header ${historyHeader}`
  if (Number.isNaN(fromMs)) return `; the header ${historyHeader} is not a time`
  return `; the header ${historyHeader} says ${new Date(fromMs).toISOString()}`
}

/** No event that this service receives happened earlier, or so much later than now. */
const plausible = { fromMs: Date.UTC(2000, 0, 1), aheadMs: 400 * dayMs }

/** What a number may be instead of milliseconds, by how many of it make one. */
const otherUnits = { seconds: 1 / 1_000, microseconds: 1_000, nanoseconds: 1_000_000 } as const

/** What is expected where an event is made of JSON. */
const millisecondsOrText = 'milliseconds since 1970, or RFC 3339, are expected'

/**
 * The commonest reasons for a time that cannot be right, as the end of a sentence; empty where it looks like none of
 * them. The value may be anything.
 */
export function timeHint(value: unknown, nowMs: number, expected = millisecondsOrText): string {
  const time = typeof value === 'string' && /^\d{1,20}(?:\.\d{1,9})?$/.test(value) ? Number(value) : value
  if (typeof time !== 'number') return ''
  if (time === 0) return ` (it looks like a time that was never set: ${expected})`
  const isPlausible = (ms: number) => ms >= plausible.fromMs && ms <= nowMs + plausible.aheadMs
  for (const [unit, perMs] of Object.entries(otherUnits)) {
    if (isPlausible(time / perMs)) return ` (it looks like ${unit}: ${expected})`
  }
  // Milliseconds are a mistake only where none are accepted.
  return expected !== millisecondsOrText && isPlausible(time) ? ` (it looks like milliseconds: ${expected})` : ''
}

const spans = [
  [dayMs, 'days'],
  [hourMs, 'h'],
  [minuteMs, 'min'],
  [secondMs, 's'],
  [1, 'ms'],
] as const

/** A span and the limit that it is beyond, with as many digits as it takes to see that it is. */
function compared(spanMs: number, limitMs: number): [span: string, limit: string] {
  const [digitMs] = spans.find(([ms]) => Math.floor(spanMs / ms) * ms > limitMs) ?? [1]
  return [spanText(spanMs, digitMs), spanText(limitMs, 1)]
}

/** `89 days 23 h 59 min`: down to the unit, cut there. */
function spanText(spanMs: number, digitMs: number): string {
  let rest = Math.floor(spanMs / digitMs) * digitMs
  const parts: string[] = []
  for (const [ms, unit] of spans) {
    const count = Math.floor(rest / ms)
    rest -= count * ms
    if (count > 0) parts.push(`${count} ${count === 1 && ms === dayMs ? 'day' : unit}`)
  }
  return parts.length === 0 ? '0 s' : parts.join(' ')
}
