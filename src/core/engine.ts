import { assert } from './errors.ts'
import type { DomainEvent } from './event.ts'
import { applyTo, type Observation } from './observe.ts'
import { entityIdOf, type EntityPlan, type FeaturePlan } from './plan.ts'
import { beginDraft, setProgress, type EntityState, type Snapshot } from './state.ts'

/** Where an event stands in a log. */
export interface EventPosition {
  readonly partition: number
  readonly offset: number
  readonly appendTimeMs: number
}

/** The online engine over states in memory: for training, benchmarks and proofs, with the processor's own `applyTo`. */
export interface MemoryEngine {
  /**
   * Applies one event to every entity it names. Answers one snapshot per entity of the plan, null where the event does
   * not name it; `reads` asks for the features before the event.
   */
  apply(event: DomainEvent, observedAtMs: number, position: EventPosition, reads: boolean): (Snapshot | null)[]
  /** Live states, by entity index and id. They are changed in place: whoever keeps one copies it. */
  readonly states: readonly Map<string, EntityState>[]
}

/** `asStored`: states also say how far partitions came and what was answered last, which is for crashes (R1). */
export function createMemoryEngine(plan: FeaturePlan, { asStored = false } = {}): MemoryEngine {
  const states = plan.entities.map(() => new Map<string, EntityState>())
  const touched: EntityState[] = []
  return {
    states,
    apply(event, observedAtMs, position, reads) {
      const eventPlan = plan.events.get(event.eventType)
      assert(eventPlan !== undefined, `${event.eventType} is in the plan`)
      const data = event.data as Readonly<Record<string, unknown>>
      // All at once: the processor waits for the memory of one while it asks for the others.
      for (let index = 0; index < plan.entities.length; index += 1) {
        if ((eventPlan.touches[index] ?? null) === null) continue
        const entity = plan.entities[index] as EntityPlan
        const ofEntity = states[index] as Map<string, EntityState>
        const id = entityIdOf(entity.keyFields, data)
        let state = ofEntity.get(id)
        if (state === undefined) ofEntity.set(id, (state = beginDraft(entity, null, position.appendTimeMs)))
        touched[index] = state
      }
      const snapshots: (Snapshot | null)[] = []
      let duplicate = false
      for (let index = 0; index < plan.entities.length; index += 1) {
        const touch = eventPlan.touches[index] ?? null
        if (touch === null) {
          snapshots.push(null)
          continue
        }
        const entity = plan.entities[index] as EntityPlan
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
        const state = touched[index] as EntityState
        const snapshot = applyTo(entity, state, observation)
        if (asStored)
          setProgress(state, { partition: position.partition, next: position.offset + 1, snapshots: [snapshot] })
        if (entity.partitionKey) duplicate = snapshot.outcome === 'duplicate'
        snapshots.push(snapshot)
      }
      return snapshots
    },
  }
}
