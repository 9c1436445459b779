import { hashEventId, isSameHash } from '../../events/event-id-hash.ts'
import type { Observation } from '../observation.ts'
import type { EntityPlan } from '../plan.ts'
import type { EntityState, Outcome } from './state.ts'
import { subjectHash } from './subjects.ts'
import { noneReleased, waitingMax, type WaitingLabel, type WaitingLabels } from './waiting-labels.ts'
import { hourMs } from '../../base/units.ts'

/**
 * Updates the waiting labels once the partition-key entity has an event's outcome: a label without a subject joins
 * them; a subject ends the wait of its labels, whose records are the answer.
 */
export function settleWaiting(
  { labelHours }: EntityPlan,
  state: EntityState,
  { eventId, appendTimeMs, data, binding, record = null }: Observation,
  outcome: Outcome,
): readonly string[] {
  if (binding.label !== null && outcome === 'unknown_subject') {
    const text = record === null ? null : record()
    if (text === null) return noneReleased
    const subject = subjectHash(binding.label.type, hashEventId(String(data[binding.label.subjectField])))
    const label = { subject, label: hashEventId(eventId), appendTimeMs, record: text }
    state.waiting = withWaiting(state.waiting, label, labelHours * hourMs)
    return noneReleased
  }
  if (binding.subject === null || state.waiting.length === 0 || outcome === 'duplicate') return noneReleased
  const subject = subjectHash(binding.subject.type, hashEventId(eventId))
  const released = state.waiting.filter((waiting) => isSameHash(waiting.subject, subject))
  if (released.length === 0) return noneReleased
  state.waiting = state.waiting.filter((waiting) => !isSameHash(waiting.subject, subject))
  return released.map(({ record }) => record)
}

/** Keeps each label once, and drops labels that have waited longer than labels reach back. */
function withWaiting(waiting: WaitingLabels, label: WaitingLabel, reachMs: number): WaitingLabels {
  const others = waiting.filter((other) => {
    return !isSameHash(other.label, label.label) && other.appendTimeMs > label.appendTimeMs - reachMs
  })
  return [...others, label].slice(-waitingMax)
}
