import { readRecordEvent } from '../events/codec/record-event.ts'
import type { EventCatalog } from '../events/event.ts'
import { namedEntityId, type EntityPlan, type EventPlan, type FeaturePlan } from '../engine/plan.ts'
import { assert } from '../base/errors.ts'
import type { Blame } from '../isolation/trial.ts'
import type { LogBatch, LogRecord } from '../ports/log.ts'
import type { Decoded } from './stages.ts'

/** Decodes and validates a batch. Total: it answers each record, in order. */
export type Decode = (batch: LogBatch, blame: Blame | null) => Decoded[]

export function createDecode(catalog: EventCatalog, plan: FeaturePlan): Decode {
  return ({ records }, blame) => {
    if (blame === null) return records.map((record) => decodeRecord(record, catalog, plan))
    assert(records.length === 1, 'a record is blamed alone')
    // A record whose handling fails whatever is left out is not even decoded.
    const { leaveOut, code, detail } = blame
    if (leaveOut === 'everything') return records.map((record) => ({ kind: 'invalid', record, code, detail }))
    return records.map((record) => decodeRecord(record, catalog, plan))
  }
}

function decodeRecord(record: LogRecord, catalog: EventCatalog, { entities, events }: FeaturePlan): Decoded {
  if (record.fault !== undefined) return { kind: 'invalid', record, ...record.fault }
  const result = readRecordEvent(record, catalog)
  if (result.kind === 'invalid') return { kind: 'invalid', record, code: result.code, detail: result.detail }
  const { event, observedAt } = result
  const plan = events.get(event.eventType)
  assert(plan !== undefined, () => `the plan knows every type of the catalog, also ${event.eventType}`)
  return {
    kind: 'event',
    record,
    event,
    observedAtMs: observedAt,
    plan,
    entityIds: entityIdsOf(entities, plan, event.data),
    isScored: catalog.get(event.eventType)?.scored !== undefined,
  }
}

function entityIdsOf(
  entities: readonly EntityPlan[],
  { bindings }: EventPlan,
  data: Readonly<Record<string, unknown>>,
): (string | null)[] {
  const ids: (string | null)[] = []
  let index = 0
  for (const { keyFields } of entities) {
    ids.push((bindings[index] ?? null) === null ? null : namedEntityId(keyFields, data))
    index += 1
  }
  return ids
}
