import { idPart, idSeparator } from './entity-id.ts'
import type { AggregateKind } from './aggregate.ts'
import { assert } from '../base/errors.ts'
import type { EventData } from '../events/event.ts'
import type { PlanMemory } from './memory.ts'
import type { SlotValue } from './tiles/slot.ts'
import type { Expression } from './expression.ts'
import type { TileGroupPlan } from './tile-group.ts'
import type { EventIdHash } from '../events/event-id-hash.ts'

/** What the engine needs to know of the definitions, resolved to indices. Built by src/compile/plan.ts. */
export interface FeaturePlan {
  readonly featureSetHash: string
  /** The partition-key entity comes first: its state decides what is a duplicate. */
  readonly entities: readonly EntityPlan[]
  /** By event type. */
  readonly events: ReadonlyMap<string, EventPlan>
  readonly values: ValuesPlan
  readonly services: readonly ServicePlan[]
}

/** All values of the feature set, computed once for all services: those of the entities, then the derived ones. */
export interface ValuesPlan {
  /** In order; equal to {@link ServicePlan.names}. */
  readonly names: readonly string[]
  /** By entity index: how many features it has. Those of an entity that the event does not name are missing. */
  readonly widths: readonly number[]
  readonly derived: readonly { readonly name: string; readonly expression: Expression }[]
}

export interface EventPlan {
  readonly type: string
  /** By entity index: what an event does to the entity that it names, null where no event of the type names one. */
  readonly bindings: readonly (EntityBinding | null)[]
}

export interface EntityBinding {
  readonly eventType: string
  /** Empty when no view of the entity reads this event: it takes a sequence number, and that is all. */
  readonly updates: readonly SlotUpdate[]
  /** What labels repeat of an event of this type: see {@link LabelPlan}; null where nothing labels it. */
  readonly subject: SubjectPlan | null
  /** The event is a label; null for the others. */
  readonly label: LabelPlan | null
}

export interface SubjectPlan {
  /** Hash of its type's name: an event of another type may have its id. */
  readonly type: EventIdHash
  /** The fields that labels repeat, in the order of their names there; null is the time of the observation. */
  readonly fields: readonly (string | null)[]
}

export interface LabelPlan {
  /** The {@link SubjectPlan.type} of what it labels. */
  readonly type: EventIdHash
  /** The field that names the subject by its event id: one of the events of the label's own aggregate. */
  readonly subjectField: string
  /** The fields that make the id of that aggregate: another one may use the same event id. */
  readonly ownerFields: readonly string[]
  /** Where the label repeats the {@link SubjectPlan.fields}, in their order. */
  readonly fields: readonly (string | null)[]
}

/** What labels do to an entity whose views read them. */
export interface EntityLabels {
  /** By event type of a label. */
  readonly updates: ReadonlyMap<string, readonly SlotUpdate[]>
  /** The fields of labels that these read: an entity remembers no others. */
  readonly fields: readonly string[]
  /** By tile group: the slots that labels alone feed. */
  readonly slots: readonly (readonly number[])[]
}

export interface SlotUpdate {
  readonly group: number
  readonly slot: number
  /** The value to add, or null when the slot's condition does not hold. */
  readonly value: (data: EventData) => SlotValue | null
}

export interface EntityPlan {
  readonly name: string
  /** The fields of an event's data that make the id: see {@link entityIdOf}. */
  readonly keyFields: readonly string[]
  readonly partitionKey: boolean
  /** Longest window + delay + allowed lateness. */
  readonly horizonMs: number
  readonly ttlMs: number
  /** How many hours back labels reach: the partition-key entity remembers their subjects so long. */
  readonly labelHours: number
  /** Null where no view reads labels: there they take a sequence number, and that is all. */
  readonly labels: EntityLabels | null
  /** Names what a blob holds, so that one of another layout is never misread: see {@link StateLayout}. */
  readonly layout: number
  /** One table of tiles per hop. */
  readonly groups: readonly TileGroupPlan[]
  readonly features: readonly EntityFeaturePlan[]
  /** Some feature has a {@link EntityFeaturePlan.cap}. */
  readonly hasCaps: boolean
  /** How many cells a read of all windows has: see {@link DelayRead}. */
  readonly windowCells: number
  /** One for all entities of a plan. */
  readonly memory: PlanMemory
}

export interface EntityFeaturePlan {
  readonly name: string
  readonly aggregate: AggregateKind
  readonly group: number
  /** Where a read puts the aggregate's slots for this feature's delay and window. */
  readonly cells: readonly number[]
  /** From the newest (1), for `last`. */
  readonly position: number
  /** What `distinct` never exceeds: a value equal to it says "at least"; 0 for the others. */
  readonly cap: number
  readonly delayMs: number
  readonly windowMs: number
  /** Indices into the group's slots. */
  readonly slots: readonly number[]
}

/** A field of a scored event that policies may read. */
export interface ScoredField {
  readonly kind: 'number' | 'boolean' | 'text'
  readonly whole: boolean
  readonly optional: boolean
}

export interface ServicePlan {
  readonly name: string
  /** The entities that a scored event can name, in plan order. */
  readonly entities: readonly string[]
  /** The fields of the scored event that a score repeats, by name: a decision is a function of what its score says. */
  readonly fields: ReadonlyMap<string, ScoredField>
  /** The names of all values that its policies may use: those of the {@link ValuesPlan}. */
  readonly names: readonly string[]
  /** The model's vector: for each element its index into {@link names}. */
  readonly vector: readonly number[]
}

/**
 * The id of the entity instance that an event names, null where it names none: it lacks one of the key fields, or has
 * null there.
 */
export function namedEntityId(keyFields: readonly string[], data: EventData): string | null {
  let id = ''
  let part = 0
  for (const field of keyFields) {
    const value = data[field]
    // Key fields are texts: see the checks of a feature set.
    if (typeof value !== 'string') return null
    id = part === 0 ? value : (part === 1 ? idPart(id) : id) + idSeparator + idPart(value)
    part += 1
  }
  return id
}

/** The same for an event that names one: one field, or several in the order of the key fields. */
export function entityIdOf(keyFields: readonly string[], data: EventData): string {
  const id = namedEntityId(keyFields, data)
  assert(id !== null, `the event has ${keyFields.join(', ')}`)
  return id
}
