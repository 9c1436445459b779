import type { EntityPlan, ScoredField, ServicePlan, ValuesPlan } from '../engine/plan.ts'
import { fieldsOfEvent } from '../define/event-field.ts'
import type { FeatureSet, Service } from '../define/feature-set.ts'
import { scoredTypeOf } from '../define/checks/scored-types.ts'

/** Aggregated features of every entity first, in plan order, then derived ones. */
export function compileValues(set: FeatureSet, entities: readonly EntityPlan[]): ValuesPlan {
  const aggregated = entities.flatMap((entity) => entity.features.map((feature) => feature.name))
  return {
    names: [...aggregated, ...set.derived.map((derived) => derived.name)],
    widths: entities.map(({ features }) => features.length),
    derived: set.derived.map(({ name, expression }) => ({ name, expression: expression.tree })),
  }
}

export function compileService(
  set: FeatureSet,
  entities: readonly EntityPlan[],
  { names }: ValuesPlan,
  service: Service,
): ServicePlan {
  const fields = scoredFields(set, service)
  const repeats = set.events.find(({ type }) => type === scoredTypeOf(service, set))?.scored?.repeats ?? []
  return {
    name: service.name,
    entities: entities.filter(({ keyFields }) => keyFields.every((key) => fields.has(key))).map(({ name }) => name),
    fields: new Map([...fields].filter(([field]) => repeats.includes(field))),
    names,
    vector: service.vector.map((name) => names.indexOf(name)),
  }
}

function scoredFields(set: FeatureSet, service: Service): ReadonlyMap<string, ScoredField> {
  const type = scoredTypeOf(service, set)
  const event = set.events.find((one) => one.type === type)
  const fields = new Map<string, ScoredField>()
  if (event === undefined) return fields
  for (const [name, { kind, whole, optional }] of fieldsOfEvent(event)) {
    if (kind !== 'other') fields.set(name, { kind, whole, optional })
  }
  return fields
}
