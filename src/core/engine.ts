import { assert } from './errors.ts'
import type { DomainEvent } from './event.ts'
import { observe, type Observation } from './observe.ts'
import { entityIdOf, type FeaturePlan } from './plan.ts'
import type { EntityState, Snapshot } from './state.ts'

/** Where an event stands in a log. */
export interface EventPosition {
  readonly partition: number
  readonly offset: number
  readonly appendTimeMs: number
}

/** The online engine over states in memory: for training, benchmarks and proofs, with the processor's own `observe`. */
export interface MemoryEngine {
  /**
   * Applies one event to every entity it names. Answers one snapshot per entity of the plan, null where the event does
   * not name it; `reads` asks for the features before the event.
   */
  apply(event: DomainEvent, observedAtMs: number, position: EventPosition, reads: boolean): (Snapshot | null)[]
  /** Live states, by entity index and id. */
  readonly states: readonly Map<string, EntityState>[]
}

export function createMemoryEngine(plan: FeaturePlan): MemoryEngine {
  const states = plan.entities.map(() => new Map<string, EntityState>())
  return {
    states,
    apply(event, observedAtMs, position, reads) {
      const eventPlan = plan.events.get(event.eventType)
      assert(eventPlan !== undefined, `${event.eventType} is in the plan`)
      const data = event.data as Readonly<Record<string, unknown>>
      let duplicate = false
      return plan.entities.map((entity, index) => {
        const touch = eventPlan.touches[index] ?? null
        if (touch === null) return null
        const id = entityIdOf(entity.keyFields, data)
        const observation: Observation = {
          offset: position.offset,
          appendTimeMs: position.appendTimeMs,
          eventId: event.eventId,
          timeMs: observedAtMs,
          data,
          touch,
          reads,
          duplicate,
        }
        const base = states[index]?.get(id) ?? null
        const { state, answers } = observe(entity, base, [observation], position.partition, position.offset)
        const answer = answers[0]
        assert(state !== null && answer?.kind === 'snapshot', 'in memory nothing is applied twice')
        states[index]?.set(id, state)
        if (entity.partitionKey) duplicate = answer.snapshot.outcome === 'duplicate'
        return answer.snapshot
      })
    },
  }
}
