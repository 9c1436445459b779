import { itemAt } from '../base/arrays.ts'
import { assert } from '../base/errors.ts'
import type { DomainEvent, EventData } from '../events/event.ts'
import { applyTo, verdictOf } from './observe.ts'
import type { Observation, Verdict } from './observation.ts'
import { namedEntityId, type EntityPlan, type EventPlan, type FeaturePlan } from './plan.ts'
import { beginDraft, setProgress, type EntityState, type StoredResponse } from './state/state.ts'

/** Where an event stands in a log. */
export interface EventPosition {
  readonly partition: number
  readonly offset: number
  readonly appendTimeMs: number
}

/** `reads` asks for the features before the event. */
export interface EngineEvent {
  readonly event: DomainEvent<EventData>
  readonly observedAtMs: number
  readonly position: EventPosition
  readonly reads: boolean
}

/** One per entity of the plan, null where the event does not name it. */
export type EngineAnswer = readonly (StoredResponse | null)[]

/** The online engine over states in memory: for benchmarks and proofs, with the processor's own `applyTo`. */
export interface MemoryEngine {
  /**
   * Applies events in their order, each to every entity it names. A batch is faster than its events one by one: their
   * states are looked for all at once, so that the waits for memory overlap.
   */
  applyAll(events: readonly EngineEvent[]): EngineAnswer[]
  apply(event: DomainEvent<EventData>, observedAtMs: number, position: EventPosition, reads: boolean): EngineAnswer
  /** Live states, by entity index and id. They are changed in place: a caller that keeps one copies it. */
  readonly states: readonly Map<string, EntityState>[]
}

/** With `asStored`, states also hold each partition's next offset and last response, which is for crashes (R1). */
export function createMemoryEngine(plan: FeaturePlan, { asStored = false } = {}): MemoryEngine {
  const states = plan.entities.map(() => new Map<string, EntityState>())
  const applyOne = (
    one: EngineEvent,
    { bindings }: EventPlan,
    found: readonly (readonly (EntityState | null)[])[],
    number: number,
  ): EngineAnswer => {
    const answer: (StoredResponse | null)[] = []
    let verdict: Verdict = null
    for (let index = 0; index < plan.entities.length; index += 1) {
      const [state, binding] = [found[index]?.[number] ?? null, bindings[index] ?? null]
      if (state === null || binding === null) {
        answer.push(null)
        continue
      }
      const entity = itemAt(plan.entities, index)
      const response = applyTo(entity, state, observationOf(one, binding, verdict))
      const { partition, offset } = one.position
      if (asStored) setProgress(state, { partition, next: offset + 1, responses: [response] })
      if (entity.partitionKey) verdict = verdictOf(response.outcome)
      answer.push(response)
    }
    return answer
  }
  const applyAll = (events: readonly EngineEvent[]): EngineAnswer[] => {
    const plans = events.map(({ event }) => planOf(plan, event))
    const found = plan.entities.map((entity, index) => locate(itemAt(states, index), entity, index, events, plans))
    return events.map((one, number) => applyOne(one, itemAt(plans, number), found, number))
  }
  return {
    states,
    applyAll,
    apply(event, observedAtMs, position, reads) {
      return applyAll([{ event, observedAtMs, position, reads }])[0] ?? []
    },
  }
}

function planOf(plan: FeaturePlan, { eventType }: DomainEvent): EventPlan {
  const found = plan.events.get(eventType)
  assert(found !== undefined, `${eventType} is in the plan`)
  return found
}

/** The state of each event's entity, begun where there is none; null where the event does not name it. */
function locate(
  states: Map<string, EntityState>,
  entity: EntityPlan,
  index: number,
  events: readonly EngineEvent[],
  plans: readonly EventPlan[],
): (EntityState | null)[] {
  return events.map(({ event, position }, number) => {
    if ((plans[number]?.bindings[index] ?? null) === null) return null
    const id = namedEntityId(entity.keyFields, event.data)
    if (id === null) return null
    let state = states.get(id)
    if (state === undefined) states.set(id, (state = beginDraft(entity, null, position.appendTimeMs)))
    return state
  })
}

function observationOf(
  { event, observedAtMs, position, reads }: EngineEvent,
  binding: Observation['binding'],
  verdict: Verdict,
): Observation {
  const { offset, appendTimeMs } = position
  const times = { appendTimeMs, timeMs: observedAtMs, eventTimeMs: event.timestamp }
  return { offset, eventId: event.eventId, ...times, data: event.data, binding, reads, verdict }
}
