import type { StoredResponse } from '../engine/states.ts'
import type { LabelVerdict } from '../engine/observation.ts'
import type { EventPlan } from '../engine/plan.ts'
import type { DomainEvent, EventData } from '../events/event.ts'
import type { EventErrorCode } from '../events/event-error-code.ts'
import type { RecordFaultCode } from '../events/codec/record-parts.ts'
import type { unscoredCodes } from '../scoring/dead-letter-code.ts'
import type { Decision } from '../scoring/output-events.ts'
import type { ScoreParts } from '../scoring/scored-text.ts'
import type { LogRecord } from '../ports/log.ts'
import type { LoadedRollout } from './models/model-pool.ts'

/*
 * What the pipeline knows of one record of a batch. Each stage answers one of these for each record that it was given,
 * in the order of the log: it adds what it finds out, and hands on a record that does not concern it. Stages name each
 * field that they hand on: a spread costs two microseconds of each event.
 */

/** A record that is no event, or makes its handling fail: it becomes a dead letter, and nothing else. */
export interface Unreadable {
  readonly kind: 'invalid'
  readonly record: LogRecord
  readonly code: EventErrorCode | RecordFaultCode
  readonly detail: string
}

export interface DecodedEvent {
  readonly kind: 'event'
  readonly record: LogRecord
  readonly event: DomainEvent<EventData>
  readonly observedAtMs: number
  readonly plan: EventPlan
  /** By entity of the plan: the id of the one that the event names, null where it names none. */
  readonly entityIds: readonly (string | null)[]
  /** To be scored; the others only change states. */
  readonly isScored: boolean
}

/** An event as the stages after decoding carry it. */
interface Carried {
  readonly record: LogRecord
  readonly decoded: DecodedEvent
}

/** Another worker published and committed the event (R5). */
export interface Gone extends Carried {
  readonly kind: 'gone'
}

/** An event with this id was applied before, at another offset. */
export interface Duplicate extends Carried {
  readonly kind: 'duplicate'
}

/** The states' answers to an event that they applied. */
interface Answered extends Carried {
  /** By entity of the plan, null where the event does not name one. */
  readonly responses: readonly (StoredResponse | null)[]
  /** Why a label counts nowhere all the same. */
  readonly verdict: LabelVerdict
}

export interface Applied extends Answered {
  readonly kind: 'applied'
}

/** An event that was applied and has no score: a number is not finite, or the record is blamed. */
export interface Unscored extends Answered {
  readonly kind: 'unscored'
  readonly code: UnscoredCode | RecordFaultCode
  readonly detail: string
}

export type UnscoredCode = (typeof unscoredCodes)[number]

/** An event on its way to a score, with all values of the feature set and the models of its offset. */
export interface AssembledEvent extends Answered {
  readonly kind: 'assembled'
  readonly rollout: LoadedRollout
  readonly values: readonly (number | null)[]
}

export interface ScoredEvent extends Omit<AssembledEvent, 'kind'> {
  readonly kind: 'scored'
  readonly score: number
  /** One per shadow, null where it failed. */
  readonly shadows: readonly (number | null)[]
}

export interface DecidedEvent extends Omit<ScoredEvent, 'kind'> {
  readonly kind: 'decided'
  readonly decision: Decision
  /** The policy's version, and what in it decided; null where thresholds decided. */
  readonly policy: ScoreParts['policy']
}

export interface ExplainedEvent extends Omit<DecidedEvent, 'kind'> {
  readonly kind: 'explained'
  /** The reasons why the event is not approved, or the code why there are none; null: approved, or not asked for. */
  readonly reasons: ScoreParts['reasons']
}

export type Decoded = DecodedEvent | Unreadable
export type Observed = Applied | Duplicate | Gone | Unreadable
/** A record that no model scores. */
type Passed = Observed | Unscored
export type Assembled = AssembledEvent | Passed
export type Scored = ScoredEvent | Passed
export type Decided = DecidedEvent | Passed
export type Explained = ExplainedEvent | Passed
