import type { AggregateKind, SlotKind } from './aggregates.ts'
import type { Expression } from './expression.ts'

/** What the engine needs to know of the definitions, resolved to indices. Built by src/compile/plan.ts. */
export interface FeaturePlan {
  readonly featureSetHash: string
  /** The partition-key entity comes first: its state decides what is a duplicate. */
  readonly entities: readonly EntityPlan[]
  /** By event type. */
  readonly events: ReadonlyMap<string, EventPlan>
  readonly services: readonly ServicePlan[]
}

export interface EventPlan {
  readonly type: string
  /** By entity index: what an event does to that entity, null where it does not name it. */
  readonly touches: readonly (EntityTouch | null)[]
}

export interface EntityTouch {
  readonly keyField: string
  /** Empty when no view of the entity looks at this event: it takes a sequence number, and that is all. */
  readonly updates: readonly SlotUpdate[]
}

export interface SlotUpdate {
  readonly group: number
  readonly slot: number
  /** The value to add, or null when the slot's condition does not hold. */
  readonly value: (data: Readonly<Record<string, unknown>>) => number | null
}

export interface EntityPlan {
  readonly name: string
  readonly keyField: string
  readonly partitionKey: boolean
  /** Longest window + delay + allowed lateness. */
  readonly horizonMs: number
  readonly ttlMs: number
  /** Names the slots and hops, so that a blob of another layout is never misread. */
  readonly layout: number
  /** One table of tiles per hop. */
  readonly groups: readonly TileGroupPlan[]
  readonly features: readonly EntityFeaturePlan[]
}

export interface TileGroupPlan {
  readonly hopMs: number
  readonly slots: readonly SlotKind[]
  /** Grouped by delay, so that one walk over the tiles serves all windows of that delay. */
  readonly reads: readonly DelayRead[]
}

export interface DelayRead {
  readonly delayMs: number
  /** Ascending. */
  readonly windowsMs: readonly number[]
}

export interface EntityFeaturePlan {
  readonly name: string
  readonly aggregate: AggregateKind
  readonly group: number
  /** Where `readWindows` puts the aggregate's slots for this feature's delay and window. */
  readonly cells: readonly number[]
}

export interface ServicePlan {
  readonly name: string
  /** Indices into {@link FeaturePlan.entities}: whose features are read. */
  readonly entities: readonly number[]
  /** Names of all values, in order: the features of the entities, then the derived ones. */
  readonly names: readonly string[]
  readonly derived: readonly { readonly name: string; readonly expression: Expression }[]
  /** The model's vector: for each element its index into {@link names}. */
  readonly vector: readonly number[]
}
