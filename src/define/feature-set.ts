import type { EventType } from '../events/event.ts'
import type { Entity } from './entity.ts'
import { featureReference, type Typed } from './expression.ts'
import type { Reason } from './reason.ts'
import type { View } from './view.ts'

/** A feature computed from other features and the scored event itself. Usable in expressions, like any other. */
export interface Derived<Nullable extends boolean = boolean> extends Typed<Nullable> {
  readonly name: string
  readonly description: string
  readonly expression: Typed<Nullable>
  /** Left out: the description is the reason. */
  readonly reason?: Reason
}

export function defineDerived<Nullable extends boolean>(
  name: string,
  description: string,
  expression: Typed<Nullable>,
  reason?: Reason,
): Derived<Nullable> {
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)) throw new Error(`feature "${name}": write it in lower_snake_case`)
  const reference = featureReference(name, expression.nullable, expression.magnitude)
  const told = reason === undefined ? {} : { reason }
  return Object.freeze({ ...reference, name, description, expression, ...told })
}

/** The ordered features that one model takes. */
export interface Service {
  readonly name: string
  /** The type of the events that its models score; null: the only scored type. */
  readonly eventType: string | null
  readonly vector: readonly string[]
}

/** Takes only features that always have a value: give a nullable one a default with `coalesce`. */
export function defineService(options: {
  readonly name: string
  /** The scored event; may be left out where a feature set has one. */
  readonly of?: EventType
  readonly vector: readonly Typed<false>[]
}): Service {
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(options.name)) {
    throw new Error(`service "${options.name}": write the name in lower_snake_case`)
  }
  const vector = options.vector.map((element, position) => {
    if (element.tree.op !== 'feature') {
      throw new Error(
        `service "${options.name}": element ${position} is an expression; give it a name with defineDerived`,
      )
    }
    if (canBeMissing(element)) {
      throw new Error(
        `service "${options.name}": ${element.tree.name} can be missing or leave the finite numbers; give it a default with coalesce`,
      )
    }
    return element.tree.name
  })
  const repeated = vector.find((name, i) => vector.indexOf(name) !== i)
  if (repeated !== undefined) throw new Error(`service "${options.name}": ${repeated} stands twice in the vector`)
  return Object.freeze({ name: options.name, eventType: options.of?.type ?? null, vector })
}

/** The static type of an element cannot know what its constants do. */
function canBeMissing({ nullable }: Typed): boolean {
  return nullable
}

export interface FeatureSet {
  readonly events: readonly EventType[]
  readonly entities: readonly Entity[]
  readonly views: readonly View[]
  readonly derived: readonly Derived[]
  readonly services: readonly Service[]
}
