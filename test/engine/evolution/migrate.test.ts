import { describe, expect, it } from 'vitest'
import { featureSetOf, randomRecipe, seeded } from '../../../scripts/fuzz/definitions.ts'
import { eventTimeOf, randomStream, type StreamEvent } from '../../../scripts/fuzz/stream.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { referenceFeatures, type ReferenceObservation } from '../../../src/compile/reference/reference.ts'
import { createMemoryEngine, type EngineAnswer, type MemoryEngine } from '../../../src/engine/memory-engine.ts'
import {
  fillMissingHistory,
  missingHistoryNumbers,
  slotsOf,
} from '../../../src/engine/evolution/fill-missing-history.ts'
import { migrateState } from '../../../src/engine/evolution/migrate.ts'
import { verdictOf } from '../../../src/engine/observe.ts'
import { entityIdOf, type EntityPlan, type FeaturePlan } from '../../../src/engine/plan.ts'
import { decodeState, encodeState } from '../../../src/engine/state-codec/state-blob.ts'
import type { Accumulator } from '../../../src/engine/tiles/slot.ts'
import { StateDecoder } from '../../../src/engine/state-codec/state-decoder.ts'
import { blobPlanOf, eventTypeOfSlot, layoutOf, parseLayout } from '../../../src/engine/state-codec/state-layout.ts'
import { plainTables } from '../../../src/engine/tiles/tiles.ts'
import type { EntityState, StoredResponse } from '../../../src/engine/state/state.ts'
import type { FeatureSet } from '../../../src/define/feature-set.ts'
import { testSeed as firstSeed } from '../../support/seed.ts'

const cases = 240
/**
 * First one that once failed: an observation too late for a horizon leaves no trace, also where a lifetime looks on.
 */
const seeds = [599_299_285, ...Array.from({ length: cases }, (_, i) => firstSeed + i)]
const appendMs = 1_780_000_000_000
/** Later than every event of a stream. */
const nowMs = 2_500_000_000_000

/** Two feature sets that share some views; every entity of each has one. */
function twoSets(seed: number): { before: FeatureSet; after: FeatureSet; isCapped: boolean } {
  const random = seeded(seed)
  const { derived: _derived, ...recipe } = randomRecipe(random)
  const set = featureSetOf({ ...recipe, derived: [] })
  const subset = (): FeatureSet => ({ ...set, views: set.views.filter(() => random.chance(0.6)) })
  return { before: subset(), after: subset(), isCapped: set.entities.some(({ tilesMax }) => tilesMax < 4_096) }
}

function apply(engine: MemoryEngine, event: StreamEvent, offset: number): EngineAnswer {
  const { eventId, eventType, timeMs, data } = event
  const names = { aggregateId: String(data['customerId']), aggregateType: 'customer', version: 1 }
  return engine.apply(
    { eventId, eventType, timestamp: eventTimeOf(event), ...names, data },
    timeMs,
    { partition: 0, offset, appendTimeMs: appendMs + offset * 7 },
    true,
  )
}

const plain = (entity: EntityPlan, { firstTiles, moreTiles, partitions, ...rest }: EntityState) => ({
  ...rest,
  tiles: plainTables(entity, [firstTiles, ...moreTiles]),
  partitions: partitions.map(({ partition, next }) => ({ partition, next })),
})

const copyOf = (entity: EntityPlan, state: EntityState) => decodeState(entity, encodeState(entity, state))

/** The events as each entity met them. */
class History {
  readonly byEntity = new Map<string, ReferenceObservation[]>()

  add(entity: EntityPlan, event: StreamEvent, response: StoredResponse): ReferenceObservation[] {
    const key = `${entity.name} ${entityIdOf(entity.keyFields, event.data)}`
    const known = this.byEntity.get(key) ?? []
    this.byEntity.set(key, known)
    const { sequence, incarnation, outcome } = response
    const { timeMs, eventType, data } = event
    const seen = { sequence, incarnation, timeMs, eventTimeMs: eventTimeOf(event), eventType, data }
    if (verdictOf(outcome) === null) known.push(seen)
    return known
  }
}

describe('a state of another feature set', () => {
  it(
    `says of every feature it can know what a state that always had it says, seeds from ${firstSeed}`,
    { timeout: 120_000 },
    () => {
      const totals = { exact: 0, incomplete: 0, kept: 0 }
      for (const seed of seeds) {
        const { before, after, isCapped } = twoSets(seed)
        if (isCapped) continue
        const [old, plan] = [compilePlan(before), compilePlan(after)]
        const events = randomStream(seeded(seed * 7 + 1))
        const switchAt = Math.floor(events.length / 2)
        let engine = createMemoryEngine(old)
        const history = new History()
        for (const [offset, event] of events.entries()) {
          if (offset === switchAt) engine = evolved(engine, old, plan)
          const now = offset < switchAt ? old : plan
          for (const [index, response] of apply(engine, event, offset).entries()) {
            const entity = now.entities[index]
            if (response === null || entity === undefined) continue
            const seen = history.add(entity, event, response)
            if (offset < switchAt || !looksAtTheSame(entity, old)) continue
            const { sequence, incarnation } = response
            const expected = referenceFeatures(after, entity.name, seen, {
              sequence,
              incarnation,
              timeMs: event.timeMs,
            })
            const flagged = new Set(response.flags.filter(({ flag }) => flag === 'incomplete').map((f) => f.feature))
            // What was too late for one horizon was in time for another, and a lifetime tells for ever.
            const isSameHorizon = old.entities.some((e) => e.name === entity.name && e.horizonMs === entity.horizonMs)
            for (const [i, { name, group, slots }] of entity.features.entries()) {
              const isLifetime = slots.some((slot) => entity.groups[group]?.slots[slot]?.lifetime === true)
              if (isLifetime && !isSameHorizon) continue
              totals.incomplete += flagged.has(i) ? 1 : 0
              if (flagged.has(i)) continue
              expect(response.features?.[i], `seed ${seed}, event ${offset}, ${name}`).toBe(expected[name])
              totals.exact += 1
            }
          }
        }
      }
      expect(totals.exact).toBeGreaterThan(cases * 20)
      expect(totals.incomplete).toBeGreaterThan(cases * 20)
    },
  )
})

/** The newest time, which decides what is forgotten, is that of the events that some view looks at. */
function looksAtTheSame(entity: EntityPlan, old: FeaturePlan): boolean {
  const typesOf = ({ groups }: EntityPlan) =>
    new Set(groups.flatMap(({ slots }) => slots.map(({ id }) => eventTypeOfSlot(id))))
  const other = old.entities.find(({ name }) => name === entity.name)
  return other !== undefined && [...typesOf(other)].every((type) => typesOf(entity).has(type))
}

it(`knows everything again when the history is merged, seeds from ${firstSeed}`, { timeout: 120_000 }, () => {
  let values = 0
  for (const seed of seeds) {
    const { before, after, isCapped } = twoSets(seed)
    if (isCapped) continue
    const [old, plan] = [compilePlan(before), compilePlan(after)]
    const events = randomStream(seeded(seed * 7 + 1))
    const [switchAt, fillAt] = [Math.floor(events.length / 3), Math.floor((events.length * 2) / 3)]
    // What would be if the new set had been there from the start.
    const always = createMemoryEngine(plan)
    let engine = createMemoryEngine(old)
    const earlier = plan.entities.map(() => new Map<string, EntityState>())
    for (const [offset, event] of events.entries()) {
      if (offset === switchAt) {
        engine = evolved(engine, old, plan)
        for (const [i, entity] of plan.entities.entries()) {
          for (const [id, state] of always.states[i] ?? []) earlier[i]?.set(id, copyOf(entity, state))
        }
      }
      if (offset === fillAt) fillAll(engine, plan, earlier)
      const wanted = apply(always, event, offset)
      for (const [index, response] of apply(engine, event, offset).entries()) {
        const entity = plan.entities[index]
        if (offset < fillAt || response === null || entity === undefined || !isComparable(entity, old)) continue
        const flags = response.flags.filter(({ flag }) => flag === 'incomplete')
        expect(flags, `seed ${seed}, event ${offset}`).toEqual([])
        expect(response.features, `seed ${seed}, event ${offset}`).toEqual(wanted[index]?.features)
        values += entity.features.length
      }
    }
    for (const [index, entity] of plan.entities.entries()) {
      if (!isComparable(entity, old)) continue
      for (const [id, state] of always.states[index] ?? []) {
        const found = engine.states[index]?.get(id)
        expect(found === undefined ? null : counted(entity, found), `seed ${seed}, ${entity.name} ${id}`).toEqual(
          counted(entity, state),
        )
      }
    }
  }
  expect(values).toBeGreaterThan(cases * 20)
})

/** At its cap a distinct slot holds whichever values came first to it: only how many counts. */
function counted(entity: EntityPlan, state: EntityState): unknown {
  const isSet = (value: unknown) => Array.isArray(value) && value.length > 0 && typeof value[0] !== 'object'
  const count = (value: Accumulator) => (isSet(value) ? { distinct: (value as readonly unknown[]).length } : value)
  const { tiles, ...rest } = plain(entity, state)
  return {
    ...rest,
    tiles: tiles.map(({ rows, base, ...table }) => ({
      ...table,
      rows: rows.map(({ tile, values }) => ({ tile, values: values.map(count) })),
      base: base?.map(count) ?? null,
    })),
  }
}

/**
 * With another horizon a lifetime remembers other late observations: nothing brings those back. Nor are subjects
 * brought back that were forgotten while labels reached less far.
 */
function isComparable(entity: EntityPlan, old: FeaturePlan): boolean {
  const isSame = old.entities.some((one) => one.name === entity.name && one.horizonMs === entity.horizonMs)
  const hasLifetime = entity.groups.some(({ slots }) => slots.some(({ lifetime }) => lifetime))
  const isSameReach = old.entities.every(({ labelHours }) => labelHours === entity.labelHours)
  return looksAtTheSame(entity, old) && isSameReach && (isSame || !hasLifetime)
}

/** The states as they were at the switch are what a history computes. */
function fillAll(engine: MemoryEngine, plan: FeaturePlan, earlier: readonly ReadonlyMap<string, EntityState>[]): void {
  for (const [index, entity] of plan.entities.entries()) {
    const wanted = slotsOf(entity, () => true)
    for (const [id, state] of engine.states[index] ?? []) {
      const history = earlier[index]?.get(id) ?? null
      for (const number of missingHistoryNumbers(state, wanted)) expect(number).toBe(history?.sequence)
      engine.states[index]?.set(
        id,
        fillMissingHistory(entity, state, wanted, () => history),
      )
    }
  }
}

it('explains a blob whose layout is not kept, and reads it when it is', async () => {
  const differing = Array.from({ length: 20 }, (_, seed) => {
    const { before, after } = twoSets(seed)
    return { old: compilePlan(before), plan: compilePlan(after) }
  }).find(({ old, plan }) => old.entities[0]?.layout !== plan.entities[0]?.layout)
  if (differing === undefined) throw new Error('most sets differ')
  const { old, plan } = differing
  const [entity, own] = [old.entities[0], plan.entities[0]]
  if (entity === undefined || own === undefined) throw new Error('there are entities')
  const engine = createMemoryEngine(old)
  for (const [offset, event] of randomStream(seeded(3)).entries()) apply(engine, event, offset)
  const [state] = engine.states[0]?.values() ?? []
  if (state === undefined) throw new Error('there is a state')
  const blob = encodeState(entity, state)
  const kept = new Map<number, string>()
  const decoder = new StateDecoder(() => Promise.resolve(kept))
  expect(await decoder.foreign(own, [null, blob])).toEqual([blob])
  expect(() => decoder.decode(own, blob, nowMs)).toThrow(/no such layout is kept beside the states/)
  kept.set(entity.layout, JSON.stringify(layoutOf(entity)))
  await decoder.foreign(own, [blob])
  expect(plain(own, decoder.decode(own, blob, nowMs))).toEqual(plain(own, migrateState(own, entity, state, nowMs)))
  expect(await decoder.foreign(entity, [blob])).toEqual([])
})

/** Every state through bytes into the other plan, twice. */
function evolved(engine: MemoryEngine, old: FeaturePlan, plan: FeaturePlan): MemoryEngine {
  const next = createMemoryEngine(plan)
  for (const [index, entity] of old.entities.entries()) {
    const into = plan.entities.findIndex(({ name }) => name === entity.name)
    const own = plan.entities[into]
    for (const [id, state] of engine.states[index] ?? []) {
      if (own === undefined) continue
      const kept = blobPlanOf(entity.layout, parseLayout(JSON.stringify(layoutOf(entity))))
      const stored = decodeState(kept, encodeState(entity, state))
      const migrated = migrateState(own, kept, stored, nowMs)
      const back = decodeState(own, encodeState(own, migrated))
      expect(plain(own, migrateState(own, own, back, nowMs))).toEqual(plain(own, back))
      next.states[into]?.set(id, back)
    }
  }
  return next
}
