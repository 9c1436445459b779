import type { EventIntake } from './intake.ts'
import {
  emittedTypes,
  type Decision,
  type EntityPosition,
  type EventObserved,
  type PaymentScored,
} from '../core/emitted.ts'
import { encodeEvent, type DomainEvent } from '../core/event.ts'
import { namedFlags, type NamedFlags } from '../core/flags.ts'
import { entityIdOf, type FeaturePlan } from '../core/plan.ts'
import type { Snapshot } from '../core/state.ts'
import { traceHeader, validTraceparent } from '../core/trace.ts'
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
    // Most payments have none, and then the member is not there: the bytes of an event say no more than is known.
    ...flagsMember(plan, scored.snapshots),
    entities: entityPositions(plan, item, scored.snapshots),
    position: positionOf(item.record),
  }
  return emitted(topic, item, emittedTypes.scored, `${item.event.eventId}:scored`, data)
}

function flagsMember(plan: FeaturePlan, snapshots: readonly (Snapshot | null)[]): { readonly flags?: NamedFlags } {
  let flags: NamedFlags | null = null
  for (const [i, entity] of plan.entities.entries()) flags = namedFlags(entity, snapshots[i]?.flags ?? [], flags)
  return flags === null ? {} : { flags }
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

function emitted(topic: string, item: EventIntake, eventType: string, eventId: string, data: unknown): OutgoingRecord {
  const { aggregateId, aggregateType } = item.event
  return emissionOf(topic, item.record, { eventId, eventType, aggregateId, aggregateType, cause: item.event, data })
}

export interface Emitted extends Pick<DomainEvent, 'eventId' | 'eventType' | 'aggregateId' | 'aggregateType' | 'data'> {
  /** Null when the record could not be read as an event. */
  readonly cause: DomainEvent | null
}

/** What a record caused, as a record: at its time, with its trace, correlated with it (version 1 of every type). */
export function emissionOf(topic: string, record: LogRecord, { cause, ...event }: Emitted): OutgoingRecord {
  const { data, ...names } = event
  const emittedEvent: DomainEvent = {
    ...names,
    timestamp: record.appendTimeMs as EventTimeMs,
    version: 1,
    ...(cause === null ? {} : causeOf(cause)),
    data,
    metadata: { source },
  }
  return { topic, key: event.aggregateId, value: encodeEvent(emittedEvent), headers: traceOf(record) }
}

/** An event without a correlation id begins a correlation of its own. */
function causeOf(cause: DomainEvent): { readonly correlationId: string; readonly causationId: string } {
  return { correlationId: cause.correlationId ?? cause.eventId, causationId: cause.eventId }
}

function traceOf(record: LogRecord): Readonly<Record<string, string>> {
  const trace = validTraceparent(record.headers[traceHeader])
  return trace === null ? {} : { [traceHeader]: trace }
}

export function positionOf({ topic, partition, offset }: LogRecord) {
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
      id: entityIdOf(entity.keyFields, item.data),
      sequence: snapshot.sequence,
      born: snapshot.born,
      outcome: snapshot.outcome === 'too_late' ? 'too_late' : 'applied',
    }
  }
  return positions
}
