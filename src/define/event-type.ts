import type { z } from 'zod'
import { eventLimits } from '../events/envelope.ts'
import type { EventType, EventVersion, FieldCode } from '../events/event.ts'
import type { LabelRule } from '../events/label-rule.ts'
import { scoreFields, type ScoredRule } from '../events/scored-rule.ts'
import { usualPastMs, type EventTimeLimits } from '../events/event-time.ts'
import { checkOptions } from './checks/options.ts'
import { fieldOf } from './event-field.ts'
import { durationMs, type Duration } from '../base/units.ts'

/** An event type together with the schema of its current data. */
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
  /** Every version ever published. All but the newest upcast their data to the next one. */
  readonly versions: Readonly<Record<number, EventVersion>>
  /** The newest version's schema. */
  readonly current: Schema
  readonly fieldCodes?: Readonly<Record<string, FieldCode>>
  readonly times?: EventTimes
  readonly label?: LabelOptions<keyof z.infer<Schema> & string>
  readonly scored?: ScoredOptions<keyof z.infer<Schema> & string>
  /** Data of the newest version, for people and for the API description. */
  readonly examples?: readonly z.infer<Schema>[]
  /**
   * Name of the view of its events in SQL over the lake, such as `logins`; left out: the type, with `_` for each dot.
   */
  readonly view?: string
  /** Text fields of which this installation accepts these values only, though the schema knows more. */
  readonly accepts?: {
    readonly [Field in keyof z.infer<Schema> & string]?: readonly (z.infer<Schema>[Field] & string)[]
  }
}

interface LabelOptions<Field extends string> {
  /** The event type that these events label. */
  readonly of: EventType
  /** The field that holds the event id of the labelled event. */
  readonly subject: Field
  /**
   * What a label repeats of its subject: field of the label to field of the subject, `time` for the subject's time. The
   * time of the label's own observation is one of them, and so are the fields that make the ids of its entities.
   */
  readonly repeats: Readonly<Partial<Record<Field, string>>>
  /** It withdraws the report of its subject; left out: it reports. */
  readonly withdraws?: true
  /** What it reports, in lower case: reports and model cards say `takeover` and `takeovers`. Left out: `report`. */
  readonly says?: string
  /** The field with the kind of the report. */
  readonly kind?: Field
}

interface ScoredOptions<Field extends string> {
  /** Type of the output event with the score. */
  readonly emits: string
  /** The field of its data with the scored event's id, and the one with its observation time: `<name>Ms`. */
  readonly id: string
  readonly time: `${string}Ms`
  /** The fields of the scored event that it repeats; those of the aggregate's id are among them. */
  readonly repeats: readonly Field[]
  /** One of these: what the event is worth, a whole number such as an amount; left out: reports only count events. */
  readonly worth?: Field
}

const eventOptions = {
  required: ['type', 'aggregateType', 'aggregateField', 'timestamp', 'versions', 'current'],
  optional: ['fieldCodes', 'times', 'label', 'scored', 'examples', 'view', 'accepts'],
} as const
const labelOptions = { required: ['of', 'subject', 'repeats'], optional: ['withdraws', 'kind', 'says'] } as const
const scoredOptions = { required: ['emits', 'id', 'time', 'repeats'], optional: ['worth'] } as const
const timesOptions = { required: [], optional: ['past', 'observedPast', 'future'] } as const

/** Defines an event type; throws one sentence on a mistake. */
export function defineEvent<Type extends string, Schema extends z.ZodObject>(
  options: EventOptions<Type, Schema>,
): EventDefinition<Type, Schema> {
  checkOptions(`event type "${options.type}"`, options, eventOptions)
  const { type, versions } = options
  checkTypeName(type)
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
  checkFieldNames(type, versions)
  checkFields(options)
  const label = options.label === undefined ? {} : { label: labelRule(options) }
  const scored = options.scored === undefined ? {} : { scored: scoredRule(options) }
  const view = options.view === undefined ? {} : { view: viewName(type, options.view) }
  const times = timeLimitsOf(type, options.timestamp, options.times ?? {})
  return Object.freeze({
    type,
    ...label,
    ...scored,
    ...view,
    aggregateType: options.aggregateType,
    aggregateField: options.aggregateField,
    currentVersion,
    versions,
    current: options.current,
    timestampField: options.timestamp,
    times,
    examples: checkedExamples(type, options.current, options.examples ?? []),
    // Its keys are fields of this schema; an event type has them as strings.
    accepts: Object.freeze({ ...options.accepts }) as EventType['accepts'],
    fieldCodes: options.fieldCodes ?? {},
  })
}

/** Refuses names that every object inherits from its prototype: no schema could notice that such a field is absent. */
function checkFieldNames(type: string, versions: EventType['versions']): void {
  for (const [version, { schema }] of Object.entries(versions)) {
    const inherited = fieldsOf(schema).find((field) => field in Object.prototype)
    if (inherited === undefined) continue
    throw new Error(
      `event type "${type}": version ${version} has a field ${inherited}, as every JavaScript object has: rename it`,
    )
  }
}

function fieldsOf(schema: z.ZodType): string[] {
  return 'shape' in schema ? Object.keys(schema.shape as object) : []
}

/** Refuses a type that names a field its data lacks. */
function checkFields({
  type,
  current,
  aggregateField,
  timestamp,
  label,
  accepts,
}: EventOptions<string, z.ZodObject>): void {
  const named = {
    aggregateField,
    ...(timestamp === 'time' ? {} : { timestamp }),
    ...(label === undefined ? {} : { 'label.subject': label.subject }),
    ...Object.fromEntries(Object.keys(accepts ?? {}).map((field) => [`accepts.${field}`, field])),
  }
  for (const [where, field] of Object.entries(named)) {
    if (!Object.hasOwn(current.shape, field))
      throw new Error(`event type "${type}": ${where}: it has no field ${field}`)
  }
}

function labelRule<Type extends string, Schema extends z.ZodObject>(options: EventOptions<Type, Schema>): LabelRule {
  const { type, label, aggregateField, timestamp } = options
  if (label === undefined) throw new Error(`event type "${type}" labels nothing`)
  checkOptions(`event type "${type}": label`, label, labelOptions)
  const { of, subject } = label
  // The keys of `repeats` are fields of this schema, too.
  const repeats = label.repeats as Readonly<Record<string, string>>
  if (of.label !== undefined) throw new Error(`event type "${type}": labels ${of.type}, which is a label itself`)
  const { schema } = of.versions[of.currentVersion] ?? {}
  const subjectFields = schema === undefined ? [] : fieldsOf(schema)
  for (const [field, repeated] of Object.entries(repeats)) {
    if (!Object.hasOwn(options.current.shape, field))
      throw new Error(`event type "${type}": repeats: it has no field ${field}`)
    if (repeated !== 'time' && !subjectFields.includes(repeated)) {
      if (of.scored === undefined) throw new Error(`event type "${type}": labels ${of.type}, which is not scored`)
      throw new Error(`event type "${type}": repeats: ${of.type} has no field ${repeated}`)
    }
  }
  if (repeats[timestamp] !== 'time') {
    throw new Error(`event type "${type}": a label counts at its subject's time: repeat it in the timestamp's field`)
  }
  if (repeats[aggregateField] !== of.aggregateField) {
    throw new Error(`event type "${type}": a label belongs to its subject's aggregate: repeat ${of.aggregateField}`)
  }
  if (label.kind !== undefined && !Object.hasOwn(options.current.shape, label.kind)) {
    throw new Error(`event type "${type}": label: it has no field ${label.kind}`)
  }
  return Object.freeze({
    subjectType: of.type,
    subjectField: subject,
    repeats: Object.freeze({ ...repeats }),
    ...(label.withdraws === undefined ? {} : { withdraws: label.withdraws }),
    ...(label.says === undefined ? {} : { says: saidWord(type, label.says) }),
    ...(label.kind === undefined ? {} : { kindField: label.kind }),
  })
}

function saidWord(type: string, word: string): string {
  if (!/^[a-z]+( [a-z]+)*$/.test(word)) {
    throw new Error(`event type "${type}": label: says "${word}": write a noun in lower case`)
  }
  return word
}

function checkedExamples(type: string, schema: z.ZodObject, examples: readonly unknown[]): readonly unknown[] {
  for (const [number, example] of examples.entries()) {
    const issue = schema.safeParse(example).error?.issues[0]
    if (issue === undefined) continue
    throw new Error(`event type "${type}": example ${number}: ${issue.path.join('.')}: ${issue.message}`)
  }
  return Object.freeze([...examples])
}

function checkTypeName(type: string): void {
  if (!/^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+$/.test(type)) {
    throw new Error(`event type "${type}": write it as noun.past_tense in lower case`)
  }
}

function viewName(type: string, view: string): string {
  if (!/^[a-z]+(_[a-z]+)*$/.test(view)) {
    throw new Error(`event type "${type}": view "${view}": write it in lower_snake_case`)
  }
  return view
}

function scoredRule<Type extends string, Schema extends z.ZodObject>(options: EventOptions<Type, Schema>): ScoredRule {
  const { type, scored, current, aggregateField } = options
  if (scored === undefined) throw new Error(`event type "${type}" is not scored`)
  checkOptions(`event type "${type}": scored`, scored, scoredOptions)
  const { emits, id, time, repeats, worth } = scored
  if (!time.endsWith('Ms')) throw new Error(`event type "${type}": scored: time is ${time}: milliseconds end with Ms`)
  checkTypeName(emits)
  const missing = repeats.find((field) => !Object.hasOwn(current.shape, field))
  if (missing !== undefined) throw new Error(`event type "${type}": scored: it has no field ${missing}`)
  const names = [id, time, ...repeats, ...scoreFields]
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice !== undefined) throw new Error(`event type "${type}": scored: ${emits} would have two fields ${twice}`)
  if (!repeats.includes(aggregateField)) {
    throw new Error(`event type "${type}": scored: ${emits} must repeat ${aggregateField}, whose score it is`)
  }
  if (worth !== undefined && !repeats.includes(worth)) {
    throw new Error(`event type "${type}": scored: ${emits} must repeat ${worth}, what the event is worth`)
  }
  const shape: Readonly<Record<string, z.core.$ZodType>> = current.shape
  const worthSchema = worth === undefined ? undefined : shape[worth]
  const worthOf = worthSchema === undefined ? undefined : fieldOf(worthSchema)
  if (worthOf !== undefined && !(worthOf.kind === 'number' && worthOf.whole)) {
    throw new Error(`event type "${type}": scored: worth: ${worth} is no whole number`)
  }
  const worthField = worth === undefined ? {} : { worthField: worth }
  return Object.freeze({ emits, idField: id, timeField: time, repeats: Object.freeze([...repeats]), ...worthField })
}

function timeLimitsOf(type: string, timestamp: string, times: EventTimes): EventTimeLimits {
  checkOptions(`event type "${type}": times`, times, timesOptions)
  const { past, observedPast, future } = times
  const pastMs = past === undefined ? usualPastMs : durationMs(past)
  const observedPastMs = observedPast === undefined ? pastMs : durationMs(observedPast)
  const futureMs = future === undefined ? eventLimits.maxFutureMs : durationMs(future)
  if (timestamp === 'time' && observedPastMs !== pastMs) {
    throw new Error(`event type "${type}": its time is that of the observation: give past alone`)
  }
  // Layout migrations of states rely on it: no observation is newer than this.
  if (futureMs > eventLimits.maxFutureMs) throw new Error(`event type "${type}": times: future is 5m at most`)
  return Object.freeze({ pastMs, observedPastMs, futureMs })
}
