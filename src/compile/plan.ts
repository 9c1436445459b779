import { hash32 } from './hash.ts'
import type {
  DelayRead,
  EntityFeaturePlan,
  EntityPlan,
  EntityTouch,
  EventPlan,
  FeaturePlan,
  ServicePlan,
  SlotUpdate,
  TileGroupPlan,
} from '../core/plan.ts'
import { dayMs, durationMs } from '../core/units.ts'
import type { SlotDefinition } from '../define/aggregate.ts'
import type { Entity } from '../define/entity.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import type { Comparison, Condition } from '../define/source.ts'
import { featureName, type View } from '../define/view.ts'
import { horizonMs } from './horizon.ts'
import { featureSetHash } from './manifest.ts'

/** How much longer a silent state is kept than any window could need it. */
const ttlSlackMs = dayMs

/** Resolves a feature set to what the engine runs. Deterministic: equal definitions give equal plans. */
export function compilePlan(set: FeatureSet): FeaturePlan {
  const ordered = [...set.entities].sort((a, b) => Number(b.partitionKey) - Number(a.partitionKey))
  const drafts = ordered.map((entity) =>
    compileEntity(
      entity,
      set.views.filter((view) => view.entity === entity),
    ),
  )
  const events = set.events.map((event): EventPlan => {
    const { schema } = event.versions[event.currentVersion] ?? {}
    const shape = schema !== undefined && 'shape' in schema ? (schema.shape as object) : {}
    const touches = drafts.map(({ plan, slots }): EntityTouch | null =>
      plan.keyField in shape ? { keyField: plan.keyField, updates: updatesOf(slots, event.type) } : null,
    )
    return { type: event.type, touches }
  })
  const entities = drafts.map(({ plan }) => plan)
  return {
    featureSetHash: featureSetHash(set),
    entities,
    events: new Map(events.map((event) => [event.type, event])),
    services: set.services.map((service) => compileService(set, entities, service)),
  }
}

interface PlacedSlot {
  readonly id: string
  readonly group: number
  readonly slot: number
  readonly definition: SlotDefinition
}

function compileEntity(entity: Entity, views: readonly View[]): { plan: EntityPlan; slots: readonly PlacedSlot[] } {
  const hops = [...new Set(views.map((view) => durationMs(view.hop)))].sort((a, b) => a - b)
  const slots: PlacedSlot[] = []
  const reads: Map<number, Set<number>>[] = hops.map(() => new Map<number, Set<number>>())
  for (const view of views) {
    const group = hops.indexOf(durationMs(view.hop))
    for (const definition of view.aggregates.flatMap((aggregate) => aggregate.slots)) {
      const id = slotId(definition)
      if (slots.some((slot) => slot.group === group && slot.id === id)) continue
      slots.push({ id, group, slot: slots.filter((slot) => slot.group === group).length, definition })
    }
    const delayMs = durationMs(view.delay)
    const windows = reads[group]?.get(delayMs) ?? new Set()
    for (const window of view.windows) windows.add(durationMs(window))
    reads[group]?.set(delayMs, windows)
  }
  const groups = hops.map((hopMs, group): TileGroupPlan => {
    const delays = [...(reads[group] ?? [])].sort(([a], [b]) => a - b)
    return {
      hopMs,
      slots: slots.filter((slot) => slot.group === group).map((slot) => slot.definition.kind),
      reads: delays.map(([delayMs, w]): DelayRead => ({ delayMs, windowsMs: [...w].sort((a, b) => a - b) })),
    }
  })
  const horizon = horizonMs(views)
  const layout = JSON.stringify(
    hops.map((hop, group) => [hop, slots.filter((s) => s.group === group).map((s) => s.id)]),
  )
  const plan: EntityPlan = {
    name: entity.name,
    keyField: entity.keyField,
    partitionKey: entity.partitionKey,
    horizonMs: horizon,
    ttlMs: horizon + ttlSlackMs,
    layout: hash32(`${entity.name}:${layout}:${horizon}`),
    groups,
    features: views.flatMap((view) => viewFeatures(view, groups, hops.indexOf(durationMs(view.hop)), slots)),
  }
  return { plan, slots }
}

function viewFeatures(
  view: View,
  groups: readonly TileGroupPlan[],
  group: number,
  slots: readonly PlacedSlot[],
): EntityFeaturePlan[] {
  const { reads, slots: kinds } = groups[group] ?? { reads: [], slots: [] }
  const read = reads.findIndex(({ delayMs }) => delayMs === durationMs(view.delay))
  const windowsBefore = reads.slice(0, read).reduce((total, { windowsMs }) => total + windowsMs.length, 0)
  return view.aggregates.flatMap((aggregate) =>
    view.windows.map((window) => {
      const row = windowsBefore + (reads[read]?.windowsMs.indexOf(durationMs(window)) ?? -1)
      const cells = aggregate.slots.map((definition) => {
        const id = slotId(definition)
        return row * kinds.length + (slots.find((slot) => slot.group === group && slot.id === id)?.slot ?? -1)
      })
      return { name: featureName(view.name, aggregate.name, window), aggregate: aggregate.kind, group, cells }
    }),
  )
}

/** Two aggregates that mean the same share a slot, whatever their views and sources are called. */
export function slotId({ kind, source, column }: SlotDefinition): string {
  const field = column === null ? null : source.columns[column]
  const where = source.where.map(({ field: name, is, value }) => [name, is, value])
  return JSON.stringify([kind, source.eventType, field ?? null, where])
}

function updatesOf(slots: readonly PlacedSlot[], eventType: string): SlotUpdate[] {
  return slots
    .filter(({ definition }) => definition.source.eventType === eventType)
    .map(({ group, slot, definition }) => ({ group, slot, value: slotValue(definition) }))
}

/** Reads the value to add from an event's data; null when a condition does not hold. */
export function slotValue({ source, column }: SlotDefinition): SlotUpdate['value'] {
  const field = column === null ? undefined : source.columns[column]
  const { where } = source
  const read = (data: Readonly<Record<string, unknown>>) => (field === undefined ? 1 : (data[field] as number))
  if (where.length === 0) return read
  return (data) => (where.every((condition) => holds(condition, data[condition.field])) ? read(data) : null)
}

const comparisons: Readonly<Record<Comparison, (a: number | string, b: number | string) => boolean>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}

function holds(condition: Condition, value: unknown): boolean {
  return comparisons[condition.is](value as number | string, condition.value)
}

/** Aggregated features of every entity first, in plan order, then derived ones: the order of a service's values. */
function compileService(
  set: FeatureSet,
  entities: readonly EntityPlan[],
  service: { readonly name: string; readonly vector: readonly string[] },
): ServicePlan {
  const aggregated = entities.flatMap((entity) => entity.features.map((feature) => feature.name))
  const names = [...aggregated, ...set.derived.map((derived) => derived.name)]
  return {
    name: service.name,
    entities: entities.map((_entity, index) => index),
    names,
    derived: set.derived.map(({ name, expression }) => ({ name, expression: expression.tree })),
    vector: service.vector.map((name) => names.indexOf(name)),
  }
}
