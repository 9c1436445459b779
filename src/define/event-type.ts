import type { z } from 'zod'
import type { EventErrorCode, EventType, EventVersion } from '../core/event.ts'

/** An event type together with the type of its current data; `Data` exists for the compiler only. */
export interface EventDefinition<Type extends string, Schema extends z.ZodObject> extends EventType {
  readonly type: Type
  readonly current: Schema
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
  return Object.freeze({
    type,
    aggregateType: options.aggregateType,
    aggregateField: options.aggregateField,
    currentVersion,
    versions,
    current: options.current,
    timestampField: options.timestamp,
    fieldCodes: options.fieldCodes ?? {},
  })
}
