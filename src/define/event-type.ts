import type { z } from 'zod'
import { eventLimits } from '../events/envelope.ts'
import type { EventType, EventVersion, FieldCode } from '../events/event.ts'
import type { LabelRule } from '../events/label-rule.ts'
import { usualPastMs, type EventTimeLimits } from '../events/event-time.ts'
import { durationMs, type Duration } from '../base/units.ts'

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
  readonly fieldCodes?: Readonly<Record<string, FieldCode>>
  readonly times?: EventTimes
  readonly label?: LabelOptions<keyof z.infer<Schema> & string>
  /** Text fields of which this installation takes these values only, though the schema knows more. */
  readonly accepts?: {
    readonly [Field in keyof z.infer<Schema> & string]?: readonly (z.infer<Schema>[Field] & string)[]
  }
}

interface LabelOptions<Field extends string> {
  /** What the events of this type label. */
  readonly of: EventType
  /** The field that holds the event id of the labelled event. */
  readonly subject: Field
  /**
   * What a label repeats of its subject: field of the label to field of the subject, `time` for the subject's time. The
   * time of the label's own observation is one of them, and so are the fields that make the ids of its entities.
   */
  readonly repeats: Readonly<Partial<Record<Field, string>>>
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
  const label = options.label === undefined ? {} : { label: labelRule(options) }
  const times = timeLimitsOf(type, options.timestamp, options.times ?? {})
  return Object.freeze({
    type,
    ...label,
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

function labelRule<Type extends string, Schema extends z.ZodObject>(options: EventOptions<Type, Schema>): LabelRule {
  const { type, label, aggregateField, timestamp } = options
  if (label === undefined) throw new Error(`event type "${type}" labels nothing`)
  const { of, subject } = label
  const repeats = label.repeats as Readonly<Record<string, string>>
  if (of.label !== undefined) throw new Error(`event type "${type}": a label of a label`)
  const { schema } = of.versions[of.currentVersion] ?? {}
  const shape = schema !== undefined && 'shape' in schema ? (schema.shape as object) : {}
  for (const [field, repeated] of Object.entries(repeats)) {
    if (!(field in options.current.shape)) throw new Error(`event type "${type}": repeats: it has no field ${field}`)
    if (repeated !== 'time' && !(repeated in shape)) {
      throw new Error(`event type "${type}": repeats: ${of.type} has no field ${repeated}`)
    }
  }
  if (repeats[timestamp] !== 'time') {
    throw new Error(`event type "${type}": a label counts at its subject's time: repeat it in the timestamp's field`)
  }
  if (repeats[aggregateField] !== of.aggregateField) {
    throw new Error(`event type "${type}": a label belongs to its subject's aggregate: repeat ${of.aggregateField}`)
  }
  return Object.freeze({ subjectType: of.type, subjectField: subject, repeats: Object.freeze({ ...repeats }) })
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
