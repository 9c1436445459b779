import { timeField, type Expression } from '../../engine/expression.ts'
import type { Entity } from '../entity.ts'
import { fieldsOfEvent, type EventField } from '../event-field.ts'
import type { FeatureSet } from '../feature-set.ts'
import { featureName } from '../view.ts'

/** Why a feature can be missing for a scored event: words that follow its name. */
export type MissingFeatures = ReadonlyMap<string, string>

type Defined = Pick<FeatureSet, 'events' | 'views' | 'derived'>

/**
 * The features that can be missing for an event of a scored type: by their own definition, or because the event may
 * not name their entity or lack a field that they read. Null: by their own definition alone.
 */
export function missingFeatures(set: Defined, eventType: string | null): MissingFeatures {
  const scored = set.events.find(({ type }) => type === eventType)
  const fields = scored === undefined ? new Map<string, EventField>() : fieldsOfEvent(scored)
  const fieldWhy = (field: string) =>
    eventType === null || field === timeField || fields.get(field)?.optional === false
      ? null
      : `reads event.${field}, which ${eventType} may lack`
  const missing = new Map<string, string>()
  for (const { name, entity, aggregates, windows } of set.views) {
    const isNamed = eventType === null || isAlwaysNamed(entity, fields)
    for (const aggregate of aggregates) {
      if (isNamed && !aggregate.nullable) continue
      const why = isNamed ? ownReason : `is of the ${entity.name}, which ${eventType} may not name`
      for (const window of windows) missing.set(featureName(name, aggregate.name, window), why)
    }
  }
  for (const { name, expression } of set.derived) {
    const why = inherited(expression.tree, missing, fieldWhy) ?? (expression.nullable ? ownReason : null)
    if (why !== null) missing.set(name, why)
  }
  return missing
}

const ownReason = 'can be missing or leave the finite numbers'

function isAlwaysNamed({ keyFields }: Entity, fields: ReadonlyMap<string, EventField>): boolean {
  return keyFields.every((field) => fields.get(field)?.optional === false)
}

/** A result is missing when an operand is; of a `coalesce` the last value decides. */
function inherited(
  tree: Expression,
  missing: MissingFeatures,
  fieldWhy: (field: string) => string | null,
): string | null {
  const of = (inner: Expression) => inherited(inner, missing, fieldWhy)
  switch (tree.op) {
    case 'feature': {
      const why = missing.get(tree.name)
      return why === undefined || why === ownReason ? null : why
    }
    case 'request':
      return fieldWhy(tree.field)
    case 'constant':
      return null
    case 'coalesce': {
      const last = tree.values.at(-1)
      return last === undefined ? null : of(last)
    }
    case 'floor':
    case 'square_root':
      return of(tree.value)
    default:
      return of(tree.left) ?? of(tree.right)
  }
}
