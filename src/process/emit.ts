import { attemptsOf, type EventIntake, type Intake } from './intake.ts'
import {
  emittedTypes,
  traceHeader,
  type DeadLetter,
  type Decision,
  type EntityPosition,
  type EventObserved,
  type PaymentScored,
} from '../core/emitted.ts'
import { encodeEvent, type DomainEvent } from '../core/event.ts'
import type { FeaturePlan } from '../core/plan.ts'
import type { Snapshot } from '../core/state.ts'
import type { EventTimeMs } from '../core/units.ts'
import type { LogRecord, OutgoingRecord } from '../ports.ts'

/** Who emits: fixed for every installation, because an emitted event may depend on nothing but its cause. */
const source = 'urn:riverbank:processor'

export interface Scored {
  readonly item: EventIntake
  readonly snapshots: readonly (Snapshot | null)[]
  readonly names: readonly string[]
  readonly values: readonly (number | null)[]
  readonly score: number
  readonly decision: Decision
  readonly model: { readonly name: string; readonly version: string }
  readonly service: string
}

/** `payment.scored`: id and time are functions of the payment, so that every copy is the same bytes (I2). */
export function scoredRecord(plan: FeaturePlan, topic: string, scored: Scored): OutgoingRecord {
  const { item, values } = scored
  const payment = item.data as { customerId: string; terminalId: string; amountMinor: number; currency: string }
  const features: Record<string, number | null> = {}
  for (const [i, name] of scored.names.entries()) features[name] = values[i] ?? null
  const data: PaymentScored = {
    paymentId: item.event.eventId,
    customerId: payment.customerId,
    terminalId: payment.terminalId,
    amountMinor: payment.amountMinor,
    currency: payment.currency,
    paymentTimeMs: item.observedAtMs,
    score: scored.score,
    decision: scored.decision,
    model: scored.model,
    service: scored.service,
    featureSet: plan.featureSetHash,
    features,
    entities: entityPositions(plan, item, scored.snapshots),
    position: positionOf(item.record),
  }
  return emitted(topic, item, emittedTypes.scored, `${item.event.eventId}:scored`, data)
}

/** `event.observed`: what an event that is not scored changed, and in which order. */
export function observedRecord(
  plan: FeaturePlan,
  topic: string,
  item: EventIntake,
  snapshots: readonly (Snapshot | null)[],
): OutgoingRecord {
  const data: EventObserved = {
    observedId: item.event.eventId,
    observedType: item.event.eventType,
    entities: entityPositions(plan, item, snapshots),
    featureSet: plan.featureSetHash,
    position: positionOf(item.record),
  }
  return emitted(topic, item, emittedTypes.observed, `${item.event.eventId}:observed`, data)
}

/** `event.dead_lettered`: the record whole, with the reason, so that it can be replayed after the fix (I6). */
export function deadLetterRecord(topic: string, intake: Intake, code: string, detail: string): OutgoingRecord {
  const { record } = intake
  const id = `${record.topic}:${record.partition}:${record.offset}:dead`
  const data: DeadLetter = {
    code,
    detail,
    attempts: attemptsOf(record),
    position: positionOf(record),
    key: record.key,
    headers: record.headers,
    value: Buffer.from(record.value).toString('base64'),
  }
  const event: DomainEvent<DeadLetter> = {
    eventId: id,
    eventType: emittedTypes.deadLettered,
    timestamp: record.appendTimeMs as EventTimeMs,
    aggregateId: record.key ?? id,
    aggregateType: 'record',
    version: 1,
    ...(intake.kind === 'event' ? causeOf(intake.event) : {}),
    data,
    metadata: { source },
  }
  return { topic, key: event.aggregateId, value: encodeEvent(event), headers: traceOf(record) }
}

function emitted(topic: string, item: EventIntake, eventType: string, eventId: string, data: unknown): OutgoingRecord {
  const event: DomainEvent = {
    eventId,
    eventType,
    timestamp: item.record.appendTimeMs as EventTimeMs,
    aggregateId: item.event.aggregateId,
    aggregateType: item.event.aggregateType,
    version: 1,
    ...causeOf(item.event),
    data,
    metadata: { source },
  }
  return { topic, key: event.aggregateId, value: encodeEvent(event), headers: traceOf(item.record) }
}

/** An event without a correlation id begins a correlation of its own. */
function causeOf(cause: DomainEvent): { readonly correlationId: string; readonly causationId: string } {
  return { correlationId: cause.correlationId ?? cause.eventId, causationId: cause.eventId }
}

function traceOf(record: LogRecord): Readonly<Record<string, string>> {
  const trace = record.headers[traceHeader]
  return trace === undefined ? {} : { [traceHeader]: trace }
}

function positionOf({ topic, partition, offset }: LogRecord) {
  return { topic, partition, offset }
}

function entityPositions(
  plan: FeaturePlan,
  item: EventIntake,
  snapshots: readonly (Snapshot | null)[],
): Record<string, EntityPosition> {
  const positions: Record<string, EntityPosition> = {}
  for (const [i, entity] of plan.entities.entries()) {
    const snapshot = snapshots[i] ?? null
    if (snapshot === null) continue
    positions[entity.name] = {
      id: item.data[entity.keyField] as string,
      sequence: snapshot.sequence,
      born: snapshot.born,
      outcome: snapshot.outcome === 'too_late' ? 'too_late' : 'applied',
    }
  }
  return positions
}
