import type { EventIdHash } from '../../events/event-id-hash.ts'

/** A label that came before its subject: the partition-key entity keeps it until the subject is applied. */
export interface WaitingLabel {
  /** See {@link subjectHash}. */
  readonly subject: EventIdHash
  /** By its own event id. */
  readonly label: EventIdHash
  readonly appendTimeMs: number
  /** The label's record, as the text from which it is sent again. */
  readonly record: string
}

/** In the order in which they came. Never changed in place. */
export type WaitingLabels = readonly WaitingLabel[]

/** An entity keeps this many, the last that came: each is a dead letter, too. */
export const waitingMax = 16

/** Shared by the states that keep none. */
export const noWaiting: WaitingLabels = []
/** What most events release. */
export const noneReleased: readonly string[] = []
