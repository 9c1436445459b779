import type { StoredResponse } from '../engine/states.ts'
import { namedFlags, type NamedFlags } from '../engine/flags.ts'
import type { Applied, ExplainedEvent, Unscored } from './stages.ts'
import {
  outputEventId,
  outputTypes,
  processorSource,
  type EntityPosition,
  type EventObserved,
} from '../scoring/output-events.ts'
import { encodeEvent, structuredHeaders, type DomainEvent } from '../events/event.ts'
import type { FeaturePlan, ServicePlan } from '../engine/plan.ts'
import { createScoreWriter } from '../scoring/scored-text.ts'
import type { ScoredRule } from '../events/scored-rule.ts'
import { traceHeader, validTraceparent } from '../events/trace.ts'
import type { LogRecord, OutgoingRecord } from '../ports/log.ts'

export interface ScoreRecordOptions {
  readonly plan: FeaturePlan
  readonly rule: ScoredRule
  readonly service: Pick<ServicePlan, 'name'>
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
}: ScoreRecordOptions): (event: ExplainedEvent) => OutgoingRecord {
  const write = createScoreWriter({
    rule,
    source: processorSource,
    model,
    service: service.name,
    featureSet: plan.featureSetHash,
    shadows,
    features: plan.values.names,
    entities: plan.entities.map(({ name }) => name),
  })
  return (explained) => {
    const { record, decoded, responses } = explained
    const { event, observedAtMs, entityIds } = decoded
    const value = write({
      eventId: event.eventId,
      data: event.data,
      observedAtMs,
      aggregateId: event.aggregateId,
      correlationId: causeOf(event).correlationId,
      timeMs: record.appendTimeMs,
      score: explained.score,
      decision: explained.decision,
      values: explained.values,
      flags: flagsOf(plan, responses),
      shadows: explained.shadows,
      policy: explained.policy,
      reasons: explained.reasons,
      entities: responses.map((response, i) => entityPosition(entityIds[i] ?? null, response)),
      position: positionOf(record),
    })
    return { topic, key: event.aggregateId, value, headers: headersOf(record) }
  }
}

function flagsOf(plan: FeaturePlan, responses: readonly (StoredResponse | null)[]): NamedFlags | null {
  let flags: NamedFlags | null = null
  let i = 0
  for (const response of responses) {
    const entity = plan.entities[i]
    if (response !== null && entity !== undefined) flags = namedFlags(entity, response.flags, flags)
    i += 1
  }
  return flags
}

/**
 * `event.observed`: what an event that is not scored changed, and in which order. A label that counts nowhere may come
 * again, so that what it causes is named by its position.
 */
export function observedRecord(plan: FeaturePlan, topic: string, observed: Applied | Unscored): OutgoingRecord {
  const { record, decoded, verdict } = observed
  const { event } = decoded
  const data: EventObserved = {
    observedId: event.eventId,
    observedType: event.eventType,
    entities: entityPositions(plan, observed),
    featureSet: plan.featureSetHash,
    position: positionOf(record),
  }
  const { eventId, aggregateId, aggregateType } = event
  const cause = verdict === null ? eventId : `${record.topic}:${record.partition}:${record.offset}`
  const id = outputEventId(aggregateId, cause, 'observed')
  const names = { eventId: id, eventType: outputTypes.observed, aggregateId, aggregateType }
  return outputOf(topic, record, { ...names, cause: event, data })
}

export interface OutputEvent extends Pick<
  DomainEvent,
  'eventId' | 'eventType' | 'aggregateId' | 'aggregateType' | 'data'
> {
  /** Null when the record could not be read as an event. */
  readonly cause: DomainEvent | null
}

/** The record of an output event: at its cause's time, with its trace, correlated with it (version 1 of every type). */
export function outputOf(topic: string, record: LogRecord, { cause, ...event }: OutputEvent): OutgoingRecord {
  const { data, ...names } = event
  const outputEvent: DomainEvent = {
    ...names,
    timestamp: record.appendTimeMs,
    version: 1,
    ...(cause === null ? {} : causeOf(cause)),
    data,
    metadata: { source: processorSource },
  }
  return { topic, key: event.aggregateId, value: encodeEvent(outputEvent), headers: headersOf(record) }
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
  { entities }: FeaturePlan,
  { decoded: { entityIds }, responses }: Pick<Applied, 'decoded' | 'responses'>,
): Record<string, EntityPosition> {
  const positions: Record<string, EntityPosition> = {}
  for (const [i, { name }] of entities.entries()) {
    const position = entityPosition(entityIds[i] ?? null, responses[i] ?? null)
    if (position !== null) positions[name] = position
  }
  return positions
}

function entityPosition(id: string | null, response: StoredResponse | null): EntityPosition | null {
  if (id === null || response === null) return null
  const { sequence, incarnation, outcome } = response
  return { id, sequence, incarnation, outcome: outcome === 'duplicate' ? 'applied' : outcome }
}
