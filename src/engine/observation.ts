import type { EventData } from '../events/event.ts'
import type { EntityBinding } from './plan.ts'

/** One event as one entity sees it. */
export interface Observation {
  readonly offset: number
  readonly appendTimeMs: number
  readonly eventId: string
  /** The time of the observation: the tile it belongs to. */
  readonly timeMs: number
  /** The event's own time: of the labels of one subject the newest counts. */
  readonly eventTimeMs: number
  readonly data: EventData
  readonly binding: EntityBinding
  /** Answer with the entity's features as they were before this event. */
  readonly reads: boolean
  /** Why the event counts nowhere, as the partition-key entity found out; it decides for itself and ignores this. */
  readonly verdict: Verdict
  /** Of a label: its record as text, for as long as it waits; null where it is too long. Left out, nothing waits. */
  readonly record?: (() => string | null) | null
}

/** Null: the event counts. */
export type Verdict = LabelVerdict | 'duplicate'

/** Why a label counts nowhere: its subject is unknown, or it contradicts its subject. Null: it counts. */
export type LabelVerdict = 'unknown_subject' | 'contradicts_subject' | null
