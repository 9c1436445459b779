import { describe, expect, it } from 'vitest'
import { compilePlan } from '../../src/compile/plan.ts'
import { referenceFeatures, type ReferenceObservation } from '../../src/compile/reference.ts'
import { createMemoryEngine } from '../../src/core/engine.ts'
import type { DomainEvent } from '../../src/core/event.ts'
import { readFeatures } from '../../src/core/observe.ts'
import { entityIdOf, type EntityPlan } from '../../src/core/plan.ts'
import { decodeState, encodeState } from '../../src/core/state-blob.ts'
import type { EventTimeMs } from '../../src/core/units.ts'
import type { FeatureSet } from '../../src/define/feature-set.ts'
import { randomFeatureSet, randomStream, seeded, type Random, type StreamEvent } from './support/random-definitions.ts'

const cases = 400
const firstSeed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000_000)
/** Seeds that once failed are run before the new ones. */
const regressions: readonly number[] = []

describe('I3: the engine and the reference evaluator', () => {
  it(`agree bit for bit at every read, seeds ${firstSeed} to ${firstSeed + cases - 1}`, { timeout: 120_000 }, () => {
    const total = { reads: 0, present: 0, late: 0, duplicates: 0, forgotten: 0 }
    for (const seed of [...regressions, ...Array.from({ length: cases }, (_, i) => firstSeed + i)]) {
      try {
        runCase(seed, total)
      } catch (error) {
        throw new Error(`TEST_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        })
      }
    }
    // A generator that makes nothing interesting proves nothing.
    expect(total.reads).toBeGreaterThan(cases * 20)
    expect(total.present).toBeGreaterThan(total.reads / 10)
    for (const count of [total.late, total.duplicates, total.forgotten]) expect(count).toBeGreaterThan(cases / 4)
  })
})

interface Totals {
  reads: number
  present: number
  late: number
  duplicates: number
  forgotten: number
}

/** Observations by entity and id, as the log of sequence numbers would tell them. */
type History = Map<string, ReferenceObservation[]>

function runCase(seed: number, total: Totals): void {
  const random = seeded(seed)
  const set = randomFeatureSet(random)
  const plan = compilePlan(set)
  const engine = createMemoryEngine(plan)
  const history: History = new Map()
  for (const [offset, event] of randomStream(random).entries()) {
    const snapshots = engine.apply(
      domainEvent(event),
      event.timeMs,
      { partition: 0, offset, appendTimeMs: 1_780_000_000_000 + offset * 7 },
      true,
    )
    for (const [index, snapshot] of snapshots.entries()) {
      const entity = plan.entities[index]
      if (snapshot === null || entity === undefined) continue
      const id = entityIdOf(entity.keyFields, event.data)
      const seen = observationsOf(history, entity, id)
      const read = { sequence: snapshot.sequence, born: snapshot.born, timeMs: event.timeMs }
      compare(set, entity, seen, read, snapshot.features ?? [], total, `event ${offset} at ${entity.name} ${id}`)
      if (snapshot.outcome === 'duplicate') total.duplicates += 1
      else
        seen.push({ sequence: snapshot.sequence, timeMs: event.timeMs, eventType: event.eventType, data: event.data })
      if (snapshot.outcome === 'too_late') total.late += 1
    }
    if (random.chance(0.3)) storeAndLoad(engine.states, plan.entities)
    if (random.chance(0.2)) readAsOf(random, set, plan.entities, engine.states, history, event.timeMs, total)
  }
}

/** What happens to a state between two batches: through bytes and back. */
function storeAndLoad(states: ReturnType<typeof createMemoryEngine>['states'], entities: readonly EntityPlan[]): void {
  for (const [index, byId] of states.entries()) {
    const entity = entities[index]
    if (entity === undefined) continue
    for (const [id, state] of byId) byId.set(id, decodeState(entity, encodeState(entity, state)))
  }
}

/** HTTP reads: any state, at a time before or after its newest observation. */
function readAsOf(
  random: Random,
  set: FeatureSet,
  entities: readonly EntityPlan[],
  states: ReturnType<typeof createMemoryEngine>['states'],
  history: History,
  nowMs: number,
  total: Totals,
): void {
  for (const [index, byId] of states.entries()) {
    const entity = entities[index]
    const state = [...byId][random.below(Math.max(1, byId.size))]
    if (entity === undefined || state === undefined) continue
    const [id, { sequence, born }] = state
    const reach = random.pick([1_000, 60_000, 3_600_000, entity.horizonMs, 3 * entity.horizonMs])
    const timeMs = nowMs + random.below(2 * reach) - reach
    const { features } = readFeatures(entity, state[1], timeMs)
    const read = { sequence, born, timeMs }
    compare(set, entity, observationsOf(history, entity, id), read, features, total, `as of ${timeMs} at ${id}`)
    const horizon = (state[1].newestTimeMs ?? 0) - entity.horizonMs
    if (observationsOf(history, entity, id).some((o) => o.timeMs < horizon)) total.forgotten += 1
  }
}

function compare(
  set: FeatureSet,
  entity: EntityPlan,
  seen: readonly ReferenceObservation[],
  read: { readonly sequence: number; readonly born: number; readonly timeMs: number },
  features: readonly (number | null)[],
  total: Totals,
  where: string,
): void {
  const expected = referenceFeatures(set, entity.name, seen, read)
  if (Object.keys(expected).length !== features.length) throw new Error(`${where}: ${features.length} features`)
  for (const [i, { name }] of entity.features.entries()) {
    const [found, wanted] = [features[i], expected[name]]
    if (!Object.is(found, wanted)) throw new Error(`${where}: ${name} is ${found}, the reference says ${wanted}`)
    total.reads += 1
    if (found !== null && found !== 0) total.present += 1
  }
}

function observationsOf(history: History, entity: EntityPlan, id: string): ReferenceObservation[] {
  const key = `${entity.name}:${id}`
  const found = history.get(key) ?? []
  history.set(key, found)
  return found
}

function domainEvent(event: StreamEvent): DomainEvent {
  return {
    eventId: event.eventId,
    eventType: event.eventType,
    timestamp: event.timeMs as EventTimeMs,
    aggregateId: String(event.data['customerId']),
    aggregateType: 'customer',
    version: 1,
    data: event.data,
  }
}
