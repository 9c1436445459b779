import type { z } from 'zod'
import type { EventErrorCode, EventType, EventVersion } from '../core/event.ts'
import { eventLimits } from '../core/envelope.ts'
import { usualPastMs, type EventTimeLimits } from '../core/event-time.ts'
import { durationMs, type Duration } from '../core/units.ts'

/** An event type together with the type of its current data; `Data` exists for the compiler only. */
export interface EventDefinition<Type extends string, Schema extends z.ZodObject> extends EventType {
  readonly type: Type
  readonly current: Schema
}

/** How far the times of an event may lie from the moment the log takes it. */
interface EventTimes {
  /** How old its `time` may be; 90d when left out. */
  readonly past?: Duration
  /** How old its observation may be, where that is another field; the same when left out. */
  readonly observedPast?: Duration
  /** How far ahead either may be: 5m when left out, and at most. */
  readonly future?: Duration
}

interface EventOptions<Type extends string, Schema extends z.ZodObject> {
  readonly type: Type
  readonly aggregateType: string
  readonly aggregateField: keyof z.infer<Schema> & string
  /** `time` (the envelope's) or the field of the data that holds the time of the observation, in milliseconds. */
  readonly timestamp: 'time' | (keyof z.infer<Schema> & string)
  /** Every version ever published. All but the newest say how to read them as the next one. */
  readonly versions: Readonly<Record<number, EventVersion>>
  /** The newest version's schema. */
  readonly current: Schema
  readonly fieldCodes?: Readonly<Record<string, EventErrorCode>>
  readonly times?: EventTimes
  /** Text fields of which this installation takes these values only, though the schema knows more. */
  readonly accepts?: {
    readonly [Field in keyof z.infer<Schema> & string]?: readonly (z.infer<Schema>[Field] & string)[]
  }
}

/** Defines an event type; throws one sentence on a mistake. */
export function defineEvent<Type extends string, Schema extends z.ZodObject>(
  options: EventOptions<Type, Schema>,
): EventDefinition<Type, Schema> {
  const { type, versions } = options
  if (!/^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+$/.test(type)) {
    throw new Error(`event type "${type}": write it as noun.past_tense in lower case`)
  }
  const numbers = Object.keys(versions).map(Number)
  const currentVersion = Math.max(...numbers)
  for (let version = 1; version <= currentVersion; version += 1) {
    const step = versions[version]
    if (step === undefined) throw new Error(`event type "${type}": version ${version} is missing`)
    if (version < currentVersion && step.upcast === undefined) {
      throw new Error(`event type "${type}": version ${version} has no upcast to version ${version + 1}`)
    }
  }
  if (versions[currentVersion]?.schema !== options.current) {
    throw new Error(`event type "${type}": current is not the schema of version ${currentVersion}`)
  }
  const times = timeLimitsOf(type, options.timestamp, options.times ?? {})
  return Object.freeze({
    type,
    aggregateType: options.aggregateType,
    aggregateField: options.aggregateField,
    currentVersion,
    versions,
    current: options.current,
    timestampField: options.timestamp,
    times,
    accepts: Object.freeze({ ...options.accepts }) as EventType['accepts'],
    fieldCodes: options.fieldCodes ?? {},
  })
}

function timeLimitsOf(type: string, timestamp: string, { past, observedPast, future }: EventTimes): EventTimeLimits {
  const pastMs = past === undefined ? usualPastMs : durationMs(past)
  const observedPastMs = observedPast === undefined ? pastMs : durationMs(observedPast)
  const futureMs = future === undefined ? eventLimits.maxFutureMs : durationMs(future)
  if (timestamp === 'time' && observedPastMs !== pastMs) {
    throw new Error(`event type "${type}": its time is that of the observation: give past alone`)
  }
  // States that change their layout rest on it: nothing newer than this was observed.
  if (futureMs > eventLimits.maxFutureMs) throw new Error(`event type "${type}": times: future is 5m at most`)
  return Object.freeze({ pastMs, observedPastMs, futureMs })
}
