import { subjectsMax } from '../../engine/limits.ts'
import { hourMs } from '../../base/units.ts'
import type { FeatureSet } from '../../define/feature-set.ts'
import { labelHours } from '../labels.ts'
import type { ReferenceObservation } from './reference.ts'

/** An event at the partition-key entity, in the incarnation that began at `incarnation`. */
export interface ReferenceEvent extends ReferenceObservation {
  readonly eventId: string
  readonly incarnation: number
}

/**
 * The oracle of labels: why one counts nowhere, null when it counts. A label counts when its subject is among the
 * entity's last {@link subjectsMax} earlier events of all labelled types, has the type that the label is about, is not
 * too old beside the newest of these, and agrees with what the label repeats. `earlier`: the entity's earlier events,
 * without duplicates.
 */
export function referenceVerdict(
  set: FeatureSet,
  earlier: readonly ReferenceEvent[],
  { eventType, data, timeMs, incarnation }: ReferenceEvent,
): 'unknown_subject' | 'contradicts_subject' | null {
  const label = set.events.find(({ type }) => type === eventType)?.label
  if (label === undefined) return null
  const labelled = new Set(set.events.flatMap((event) => event.label?.subjectType ?? []))
  const subjects = earlier.filter((event) => event.incarnation === incarnation && labelled.has(event.eventType))
  const hourOf = (event: ReferenceEvent) => Math.floor(event.timeMs / hourMs)
  const newest = Math.max(...subjects.map(hourOf))
  const subject = subjects.findLast(
    (event) => event.eventType === label.subjectType && event.eventId === data[label.subjectField],
  )
  if (subject === undefined || !subjects.slice(-subjectsMax).includes(subject)) return 'unknown_subject'
  if (hourOf(subject) <= newest - labelHours(set)) return 'unknown_subject'
  const isRight = Object.entries(label.repeats).every(([field, of]) =>
    of === 'time' ? timeMs === subject.timeMs : (data[field] ?? null) === (subject.data[of] ?? null),
  )
  return isRight ? null : 'contradicts_subject'
}
