import type { EventErrorCode } from './event.ts'
import { dayMs, minuteMs } from './units.ts'

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
 * Older than any window looks back, far younger than what clocks without a battery say (1970, 2000) and what seconds are
 * when they are read as milliseconds.
 */
export const usualPastMs = 90 * dayMs

/**
 * Header of records of history: no time in the event is older than this one (RFC 3339). It opens
 * the past that far, and no further. Whoever may write to the log may say so; over HTTP nobody may.
 */
export const historyHeader = 'riverbank-history-from'

/** Through which an event comes, beside the moment. */
export interface EventDoor {
  /** What {@link historyHeader} says. */
  readonly historyFrom?: string
  /**
   * How much narrower than its limits the door is. What a door before the log accepts by its own clock, the log's must accept
   * too, and later.
   */
  readonly marginMs?: number
}

/** Of HTTP: what its clock and the log's may differ by, and what an event may take from one to the other. */
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
    const detail = `${seconds(latestMs - nowMs)} s ahead, at most ${seconds(futureMs - marginMs)} s are accepted`
    return { code: 'event_in_future', detail: detail + unitHint(latestMs, nowMs) }
  }
  const isOld = timestamp < nowMs - pastMs + marginMs
  if (!isOld && observedAt >= nowMs - observedPastMs + marginMs) return null
  const [timeMs, limitMs] = isOld ? [timestamp, pastMs] : [observedAt, observedPastMs]
  const fromMs = historyFrom === undefined ? Infinity : historyStartMs(historyFrom)
  if (timestamp >= fromMs && observedAt >= fromMs) return null
  const what = isOld ? 'time' : 'the time of the observation'
  const detail = `${what} is ${days(nowMs - timeMs)} days ago, at most ${days(limitMs)} are accepted`
  return { code: 'event_too_old', detail: `${detail}${unitHint(timeMs, nowMs)}${historyHint(historyFrom, fromMs)}` }
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

const plausibleMs = 400 * dayMs

/** The commonest reason for a time that cannot be right. */
function unitHint(timeMs: number, nowMs: number): string {
  if (Math.abs(timeMs * 1_000 - nowMs) < plausibleMs) return ' (were seconds sent as milliseconds?)'
  if (Math.abs(timeMs / 1_000 - nowMs) < plausibleMs) return ' (were microseconds sent as milliseconds?)'
  return ''
}

function seconds(ms: number): number {
  return Math.round(ms / 1_000)
}

function days(ms: number): number {
  return Math.floor(ms / dayMs)
}
