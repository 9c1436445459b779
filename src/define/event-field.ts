import { z } from 'zod'
import { magnitudeBetween, truthMagnitude, type Magnitude } from './magnitude.ts'
import type { EventType } from '../events/event.ts'
import { fieldForm, shapeOfEvent } from '../events/field-form.ts'

/** What definitions need to know of a field of an event's data. */
export interface EventField {
  /** `other`: what no definition can read, such as a list. */
  readonly kind: 'number' | 'boolean' | 'text' | 'other'
  /** An event of the type may lack it, or have null there. */
  readonly optional: boolean
  /** A number that is an integer. */
  readonly whole: boolean
  /** Of a number, how far from 0 it can be. */
  readonly magnitude: Magnitude
}

/** The fields of the newest version's data, by name. */
export function fieldsOfEvent(event: EventType): ReadonlyMap<string, EventField> {
  return new Map(Object.entries(shapeOfEvent(event)).map(([name, field]) => [name, fieldOf(field)]))
}

export function fieldOf(schema: z.core.$ZodType): EventField {
  const { kind, isOptional, isNullable, inner } = fieldForm(schema)
  const optional = isOptional || isNullable
  switch (kind) {
    case 'text':
      return { kind, optional, whole: false, magnitude: unknownMagnitude }
    case 'boolean':
      return { kind, optional, whole: false, magnitude: truthMagnitude }
    case 'integer':
    case 'number': {
      const whole = kind === 'integer'
      const { minValue, maxValue } = inner instanceof z.ZodNumber ? inner : {}
      const magnitude = magnitudeBetween(minValue ?? -Infinity, maxValue ?? Infinity, whole)
      return { kind: 'number', optional, whole, magnitude }
    }
    case 'JSON':
      return { kind: 'other', optional: true, whole: false, magnitude: unknownMagnitude }
  }
}

const unknownMagnitude = magnitudeBetween(-Infinity, Infinity, false)
