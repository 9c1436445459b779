import { isSameHash, type EventIdHash } from '../../events/event-id-hash.ts'

/** The current label of one subject, as an entity that both name remembers it. */
export interface Label extends EventIdHash {
  /** When the subject was observed: the label counts there. */
  readonly timeMs: number
  /** When the label was given: of two labels of one subject the later one is current. */
  readonly eventTimeMs: number
  /** The sequence number that the label took at the entity. */
  readonly sequence: number
  readonly eventType: string
  /** The fields that some slot of the entity looked at when the label was applied. */
  readonly data: Readonly<Record<string, unknown>>
}

/** At most one per subject, in the order of their sequence numbers. Never changed in place. */
export type Labels = readonly Label[]

/** Shared by the states that remember none. */
export const noLabels: Labels = []

/** Puts the subject's new label in the place of the former one. */
export function withLabel(labels: Labels, label: Label): Labels {
  return [...labels.filter((other) => !isSameHash(other, label)), label]
}

export function labelOf(labels: Labels, subject: EventIdHash): Label | null {
  return labels.find((label) => isSameHash(label, subject)) ?? null
}

/** Whether `current` stays the subject's label when `next` comes after it. */
export function outdates(current: Label, next: Pick<Label, 'eventTimeMs'>): boolean {
  return current.eventTimeMs > next.eventTimeMs
}
