import type { EngineAnswer } from '../../../src/engine/memory-engine.ts'
import { namedEntityId, type FeaturePlan } from '../../../src/engine/plan.ts'
import type { DomainEvent, EventData } from '../../../src/events/event.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import { createAssemble } from '../../../src/process/assemble.ts'
import { createDecide } from '../../../src/process/decide.ts'
import { createScore } from '../../../src/process/score.ts'
import type { LoadedRollout } from '../../../src/process/models/model-pool.ts'
import type { Applied, Decided, DecodedEvent } from '../../../src/process/stages.ts'

/** An event at an offset of partition 0, as decoding leaves it. */
export function decodedEvent(
  plan: FeaturePlan,
  event: DomainEvent<EventData>,
  offset: number,
  observedAtMs: number = event.timestamp,
): DecodedEvent {
  const record: LogRecord = {
    ...{ topic: 'events', partition: 0, offset, appendTimeMs: event.timestamp, key: event.aggregateId },
    ...{ value: new Uint8Array(), headers: {} },
  }
  const ofType = plan.events.get(event.eventType)
  if (ofType === undefined) throw new Error(`the plan knows ${event.eventType}`)
  const entityIds = plan.entities.map(({ keyFields }) => namedEntityId(keyFields, event.data))
  return { kind: 'event', record, event, observedAtMs, plan: ofType, entityIds, isScored: true }
}

/** The same once the states have taken it. */
export function appliedEvent(decoded: DecodedEvent, responses: EngineAnswer): Applied {
  return { kind: 'applied', record: decoded.record, decoded, responses, verdict: null }
}

/** What the stages from assembling to deciding make of events of one type, scored by one lineup. */
export async function decidedBy(
  plan: FeaturePlan,
  rollout: LoadedRollout,
  events: readonly Applied[],
): Promise<readonly Decided[]> {
  const metrics = { shadowFailed: () => undefined, unscored: () => undefined }
  const servings = new Map(events.map(({ decoded }) => [decoded.event.eventType, [{ from: 0, rollout }]]))
  const assembled = createAssemble(plan)(events, servings)
  return createDecide(plan)(await createScore({ plan, metrics })(assembled))
}
