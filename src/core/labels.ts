import type { EventIdHash } from './event-id-hash.ts'

/** The current label of one subject, as an entity that both name remembers it. */
export interface Label extends EventIdHash {
  /** When the subject was observed: the label counts there. */
  readonly timeMs: number
  /** The number that the label took at the entity. */
  readonly sequence: number
  readonly eventType: string
  /** The fields that some slot of the entity looked at when the label was applied. */
  readonly data: Readonly<Record<string, unknown>>
}

/** At most one per subject, in the order of their sequence numbers. Never changed in place. */
export type Labels = readonly Label[]

/** Of every state that remembers none. */
export const noLabels: Labels = []

/** With the subject's new label in the place of the one before. */
export function withLabel(labels: Labels, label: Label): Labels {
  return [...labels.filter((other) => !isSameSubject(other, label)), label]
}

export function hasLabelOf(labels: Labels, subject: EventIdHash): boolean {
  return labels.some((label) => isSameSubject(label, subject))
}

export function isSameSubject(a: EventIdHash, b: EventIdHash): boolean {
  return a.high === b.high && a.low === b.low
}
