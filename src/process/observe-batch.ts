import { verdictOf, type Answer, type Observation, type Verdict } from '../engine/observe.ts'
import type { LabelVerdict } from '../engine/observe-label.ts'
import { namedEntityId, type EntityPlan, type FeaturePlan } from '../engine/plan.ts'
import type { Snapshot } from '../engine/state/state.ts'
import type { BatchPlace, EntityStates } from './entity-states.ts'
import type { EventIntake } from './intake.ts'
import { textOf } from './waiting.ts'

/**
 * What came of one event. `applied`: one snapshot per entity of the plan, null where the event does not name it.
 * `gone`: another worker published and committed it (R5).
 */
export type Effect =
  | {
      readonly kind: 'applied'
      readonly item: EventIntake
      readonly snapshots: readonly (Snapshot | null)[]
      /** Why a label counts nowhere all the same. */
      readonly verdict: LabelVerdict
    }
  | { readonly kind: 'duplicate'; readonly item: EventIntake }
  | { readonly kind: 'gone'; readonly item: EventIntake }

export interface BatchEffects {
  readonly effects: readonly Effect[]
  readonly conflicts: number
  readonly written: number
}

/**
 * Applies a batch to all entities, the partition-key entity first: only its settled states decide what is a duplicate,
 * and a duplicate may not count at the others. (One write for both would let a stale cache decide.)
 */
export async function observeBatch(
  states: EntityStates,
  plan: FeaturePlan,
  items: readonly EventIntake[],
  at: BatchPlace,
): Promise<BatchEffects> {
  const answers: (Answer | null)[][] = items.map(() => [])
  let conflicts = 0
  let written = 0
  const owners = plan.entities.filter((entity) => entity.partitionKey)
  const shared = plan.entities.filter((entity) => !entity.partitionKey)
  for (const entities of [owners, shared]) {
    const settled = await Promise.all(
      entities.map(async (entity) => settleEntity(states, plan, entity, items, answers, at)),
    )
    for (const result of settled) {
      conflicts += result.conflicts
      written += result.written
    }
  }
  return { effects: items.map((item, i) => effectOf(item, answers[i] ?? [])), conflicts, written }
}

async function settleEntity(
  states: EntityStates,
  plan: FeaturePlan,
  entity: EntityPlan,
  items: readonly EventIntake[],
  answers: (Answer | null)[][],
  at: BatchPlace,
): Promise<{ conflicts: number; written: number }> {
  const index = plan.entities.indexOf(entity)
  const observations = new Map<string, Observation[]>()
  const places: { item: number; id: string; position: number }[] = []
  for (const [number, item] of items.entries()) {
    const touch = item.plan.touches[index] ?? null
    const row = answers[number]
    if (row === undefined) continue
    row[index] = null
    if (touch === null) continue
    const id = namedEntityId(entity.keyFields, item.data)
    if (id === null) continue
    const list = observations.get(id) ?? []
    observations.set(id, list)
    places.push({ item: number, id, position: list.length })
    list.push({
      offset: item.record.offset,
      appendTimeMs: item.record.appendTimeMs,
      eventId: item.event.eventId,
      timeMs: item.observedAtMs,
      eventTimeMs: item.event.timestamp,
      data: item.data,
      touch,
      reads: item.scored,
      verdict: verdictIn(row),
      record: touch.label === null ? null : () => textOf(item.record),
    })
  }
  const result = await states.settle(entity, observations, at)
  for (const { item, id, position } of places) {
    const answer = result.answers.get(id)?.[position] ?? null
    const row = answers[item]
    if (row !== undefined) row[index] = answer
  }
  return result
}

/** What the partition-key entity, settled before, found out. */
function verdictIn(answers: readonly (Answer | null)[]): Verdict {
  for (const answer of answers) {
    if (answer === null) continue
    const verdict = answer.kind === 'gone' ? answer.verdict : verdictOf(answer.snapshot.outcome)
    if (verdict !== null) return verdict
  }
  return null
}

function effectOf(item: EventIntake, answers: readonly (Answer | null)[]): Effect {
  if (answers.some((answer) => answer?.kind === 'gone')) return { kind: 'gone', item }
  const verdict = verdictIn(answers)
  if (verdict === 'duplicate') return { kind: 'duplicate', item }
  const snapshots = answers.map((answer) => (answer?.kind === 'snapshot' ? answer.snapshot : null))
  return { kind: 'applied', item, snapshots, verdict }
}
