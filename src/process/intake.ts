import type { DomainEvent, EventCatalog, EventErrorCode } from '../events/event.ts'
import { readRecordEvent } from '../events/record-event.ts'
import { attemptsIn } from '../events/resent-record.ts'
import type { EventPlan, FeaturePlan } from '../engine/plan.ts'
import { assert } from '../base/errors.ts'
import type { RecordFault, RecordFaultCode } from '../events/record-parts.ts'
import type { LogBatch, LogRecord } from '../ports/log.ts'

/** A record of a batch, decoded: an event with its plan, or what is wrong with it. */
export type Intake =
  | {
      readonly kind: 'event'
      readonly record: LogRecord
      readonly event: DomainEvent
      readonly data: Readonly<Record<string, unknown>>
      readonly observedAtMs: number
      readonly plan: EventPlan
      /** To be scored; the others only change states. */
      readonly scored: boolean
    }
  | {
      readonly kind: 'invalid'
      readonly record: LogRecord
      readonly code: EventErrorCode | RecordFaultCode
      readonly detail: string
    }

export type EventIntake = Extract<Intake, { kind: 'event' }>

/** Decodes and validates a batch. Total: every record has its answer, in order. */
export function takeIn(batch: LogBatch, catalog: EventCatalog, plan: FeaturePlan): Intake[] {
  return batch.records.map((record): Intake => {
    if (record.fault !== undefined) return { kind: 'invalid', record, ...record.fault }
    const result = readRecordEvent(record, catalog)
    if (result.kind === 'invalid') return { kind: 'invalid', record, code: result.code, detail: result.detail }
    const { event, observedAt } = result
    const eventPlan = plan.events.get(event.eventType)
    assert(eventPlan !== undefined, `the plan knows every type of the catalog, also ${event.eventType}`)
    return {
      kind: 'event',
      record,
      event,
      data: event.data as Readonly<Record<string, unknown>>,
      observedAtMs: observedAt,
      plan: eventPlan,
      scored: catalog.get(event.eventType)?.scored !== undefined,
    }
  })
}

/** A record that makes its handling fail: nothing of it is looked at. */
export function blamedRecord(record: LogRecord, { code, detail }: RecordFault): Intake {
  return { kind: 'invalid', record, code, detail }
}

/** How often a record was tried, this time included: the header counts replays of a dead letter. */
export function attemptsOf(record: LogRecord): number {
  return attemptsIn(record.headers) + 1
}
