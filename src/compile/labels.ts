import type { EventType } from '../events/event.ts'
import { hashEventId } from '../events/event-id-hash.ts'
import type { LabelRule } from '../events/label-rule.ts'
import type { LabelPlan, SubjectPlan } from '../engine/plan.ts'
import { hourMs } from '../base/units.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import { horizonMs } from './horizon.ts'

type LabelType = EventType & { readonly label: LabelRule }

export function isLabel(event: EventType): event is LabelType {
  return event.label !== undefined
}

/** How many hours behind the newest subject labels still find another: the longest horizon of any entity. */
export function labelHours(set: FeatureSet): number {
  if (!set.events.some(isLabel)) return 0
  const horizons = set.entities.map((entity) => horizonMs(set.views.filter((view) => view.entity === entity)))
  return Math.ceil(Math.max(0, ...horizons) / hourMs)
}

/** The types of the events that labels are about, each once. */
export function subjectTypes(set: FeatureSet): string[] {
  return [...new Set(set.events.filter(isLabel).map(({ label }) => label.subjectType))]
}

/** All labels of one type repeat the same fields of it (see `defineFeatureSet`). */
export function subjectPlan(set: FeatureSet, { type }: EventType): SubjectPlan | null {
  const labels = set.events.filter(isLabel).find(({ label }) => label.subjectType === type)
  if (labels === undefined) return null
  return {
    type: hashEventId(type),
    fields: repeatedFields(labels.label).map((field) => (field === 'time' ? null : field)),
  }
}

export function labelPlan(set: FeatureSet, event: EventType): LabelPlan | null {
  if (!isLabel(event)) return null
  const { subjectType, subjectField, repeats } = event.label
  const named = new Map(Object.entries(repeats).map(([field, repeated]) => [repeated, field]))
  const fields = repeatedFields(event.label).map((repeated) =>
    repeated === 'time' ? null : (named.get(repeated) ?? null),
  )
  return { type: hashEventId(subjectType), subjectField, ownerFields: ownerFields(set), fields }
}

/**
 * The fields of the partition-key entity's id: that entity decides what is a duplicate, and has the labelled events.
 */
export function ownerFields({ entities }: FeatureSet): readonly string[] {
  return entities.find(({ partitionKey }) => partitionKey)?.keyFields ?? []
}

/** The subject's names for what a label repeats, in one order for all labels of its type. */
export function repeatedFields({ repeats }: LabelRule): string[] {
  return Object.values(repeats).sort()
}
