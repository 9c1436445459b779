import type { EventIntake } from './intake.ts'
import {
  emittedId,
  emittedTypes,
  processorSource,
  type Decision,
  type EntityPosition,
  type EventObserved,
} from '../scoring/emitted.ts'
import { encodeEvent, structuredHeaders, type DomainEvent } from '../events/event.ts'
import { namedFlags, type NamedFlags } from '../engine/state/flags.ts'
import { entityIdOf, type EntityPlan, type FeaturePlan, type ServicePlan } from '../engine/plan.ts'
import { createScoreWriter, type ScoreParts } from '../scoring/scored-text.ts'
import type { Snapshot } from '../engine/state/state.ts'
import type { ScoredRule } from '../events/scored-rule.ts'
import { traceHeader, validTraceparent } from '../events/trace.ts'
import type { EventTimeMs } from '../base/units.ts'
import type { LogRecord, OutgoingRecord } from '../ports/log.ts'

/** A scored event with what was found out about it. */
export interface Scored {
  readonly item: EventIntake
  readonly snapshots: readonly (Snapshot | null)[]
  readonly values: readonly (number | null)[]
  readonly score: number
  readonly decision: Decision
  /** One per shadow, null where it failed. */
  readonly shadows: readonly (number | null)[]
  /** Which version of a policy decided, and what in it; null where only thresholds did. */
  readonly policy: ScoreParts['policy']
  /** Why it is not approved, or why the model cannot say; null: approved, or nobody asked. */
  readonly reasons: ScoreParts['reasons']
}

export interface ScoreRecordOptions {
  readonly plan: FeaturePlan
  readonly rule: ScoredRule
  readonly service: Pick<ServicePlan, 'name' | 'names'>
  readonly model: { readonly name: string; readonly version: string }
  /** `<name>/<version>`, in the order of their scores. */
  readonly shadows: readonly string[]
  readonly topic: string
}

/** Makes the records of the scores of one type. */
export function createScoreRecord({
  plan,
  rule,
  service,
  model,
  shadows,
  topic,
}: ScoreRecordOptions): (scored: Scored) => OutgoingRecord {
  const write = createScoreWriter({
    rule,
    source: processorSource,
    model,
    service: service.name,
    featureSet: plan.featureSetHash,
    shadows,
    features: service.names,
    entities: plan.entities.map(({ name }) => name),
  })
  return ({ item, snapshots, values, score, decision, policy, reasons, shadows: shadowScores }) => {
    const { record, event } = item
    const value = write({
      eventId: event.eventId,
      data: item.data,
      observedAtMs: item.observedAtMs,
      aggregateId: event.aggregateId,
      correlationId: causeOf(event).correlationId,
      timeMs: record.appendTimeMs,
      score,
      decision,
      values,
      flags: flagsOf(plan, snapshots),
      shadows: shadowScores,
      policy,
      reasons,
      entities: plan.entities.map((entity, i) => entityPosition(entity, item, snapshots[i] ?? null)),
      position: positionOf(record),
    })
    return { topic, key: event.aggregateId, value, headers: headersOf(record) }
  }
}

function flagsOf(plan: FeaturePlan, snapshots: readonly (Snapshot | null)[]): NamedFlags | null {
  let flags: NamedFlags | null = null
  for (const [i, entity] of plan.entities.entries()) flags = namedFlags(entity, snapshots[i]?.flags ?? [], flags)
  return flags
}

/**
 * `event.observed`: what an event that is not scored changed, and in which order. A label that counts nowhere may come
 * again, so that what it causes is named by its position.
 */
export function observedRecord(
  plan: FeaturePlan,
  topic: string,
  item: EventIntake,
  snapshots: readonly (Snapshot | null)[],
  counts = true,
): OutgoingRecord {
  const data: EventObserved = {
    observedId: item.event.eventId,
    observedType: item.event.eventType,
    entities: entityPositions(plan, item, snapshots),
    featureSet: plan.featureSetHash,
    position: positionOf(item.record),
  }
  const { eventId, aggregateId, aggregateType } = item.event
  const { topic: from, partition, offset } = item.record
  const cause = counts ? eventId : `${from}:${partition}:${offset}`
  const id = emittedId(aggregateId, cause, 'observed')
  const names = { eventId: id, eventType: emittedTypes.observed, aggregateId, aggregateType }
  return emissionOf(topic, item.record, { ...names, cause: item.event, data })
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
    metadata: { source: processorSource },
  }
  return { topic, key: event.aggregateId, value: encodeEvent(emittedEvent), headers: headersOf(record) }
}

/** An event without a correlation id begins a correlation of its own. */
function causeOf(cause: DomainEvent): { readonly correlationId: string; readonly causationId: string } {
  return { correlationId: cause.correlationId ?? cause.eventId, causationId: cause.eventId }
}

function headersOf(record: LogRecord): Readonly<Record<string, string>> {
  const trace = validTraceparent(record.headers[traceHeader])
  return trace === null ? structuredHeaders : { ...structuredHeaders, [traceHeader]: trace }
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
    const position = entityPosition(entity, item, snapshots[i] ?? null)
    if (position !== null) positions[entity.name] = position
  }
  return positions
}

function entityPosition(entity: EntityPlan, item: EventIntake, snapshot: Snapshot | null): EntityPosition | null {
  if (snapshot === null) return null
  return {
    id: entityIdOf(entity.keyFields, item.data),
    sequence: snapshot.sequence,
    born: snapshot.born,
    outcome: snapshot.outcome === 'duplicate' ? 'applied' : snapshot.outcome,
  }
}
