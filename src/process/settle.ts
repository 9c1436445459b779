import type { EntityState, StoredResponse } from '../engine/states.ts'
import { observe as observeEntity, verdictOf, type Answer } from '../engine/observe.ts'
import type { Observation, Verdict } from '../engine/observation.ts'
import type { EntityPlan, EntityBinding, FeaturePlan } from '../engine/plan.ts'
import type { Decoded, DecodedEvent, Observed } from './stages.ts'
import { textOf } from './dead-letters/waiting.ts'

/*
 * `groupByEntity` lists the entities that a batch's events name, `judged` adds what those that settled before say of the
 * events, the stages in between (load, observe, write) add to what is known of each entity, and `answer` turns the
 * entities' answers into the outcome of each event.
 */

/** One instance of an entity, with what the batch does to it. */
export interface Touched {
  readonly entity: EntityPlan
  /** The entity's place in the plan. */
  readonly index: number
  readonly id: string
  /** In the order of the log. */
  readonly observations: readonly Observation[]
  /** By observation: the place of its event in the batch. */
  readonly places: readonly number[]
  /** How many compare-and-sets of this batch it has lost. */
  readonly lost: number
}

/** With its state, as the store or the cache has it. */
export interface Loaded {
  readonly touched: Touched
  readonly base: StoredState
  /** The cache's entry that it came from; null when the store was asked. */
  readonly cached: CachedState | null
  /** The cache's generation when the state was read. */
  readonly clearings: number
}

/** A state as the store holds it; its checksum is part of the version that the next write must find there. */
export interface StoredState {
  readonly state: EntityState | null
  readonly checksum: number
}

/** An entry of the cache of states. */
export interface CachedState {
  known: StoredState
  /** The sequence number of the state whose size was counted. */
  readonly countedAt: number
}

/** With its next state, and one answer per observation; they hold once the store has taken the state. */
export interface Answering extends Loaded {
  readonly next: EntityState | null
  readonly answers: readonly Answer[]
  /** False when every observation had been applied before: there is nothing to write. */
  readonly isChanged: boolean
}

/**
 * Entities in the order in which they settle: the partition-key entity first, because only its settled states decide
 * what is a duplicate, and a duplicate may not count at the others. (One write for both would let a stale cache
 * decide.)
 */
export function settlingOrder({ entities }: FeaturePlan): readonly (readonly EntityPlan[])[] {
  const owners = entities.filter((entity) => entity.partitionKey)
  const shared = entities.filter((entity) => !entity.partitionKey)
  return [owners, shared]
}

/** The instances of these entities that the events name. */
export function groupByEntity(
  { entities: all }: FeaturePlan,
  entities: readonly EntityPlan[],
  decoded: readonly Decoded[],
): Touched[] {
  return entities.flatMap((entity) => {
    const index = all.indexOf(entity)
    const byId = new Map<string, { observations: Observation[]; places: number[] }>()
    let place = -1
    for (const event of decoded) {
      place += 1
      if (event.kind === 'invalid') continue
      const entityBinding = event.plan.bindings[index] ?? null
      const id = event.entityIds[index] ?? null
      if (entityBinding === null || id === null) continue
      const observation = observationOf(event, entityBinding)
      const known = byId.get(id)
      if (known === undefined) byId.set(id, { observations: [observation], places: [place] })
      else {
        known.observations.push(observation)
        known.places.push(place)
      }
    }
    return Array.from(byId, ([id, { observations, places }]) => {
      return { entity, index, id, observations, places, lost: 0 }
    })
  })
}

/** What the entities that `settled` before say of the events: a duplicate may count nowhere. Most often nothing. */
export function judged(
  touched: readonly Touched[],
  decoded: readonly Decoded[],
  settled: readonly Answering[],
): readonly Touched[] {
  const verdicts = verdictsOf(decoded.length, settled)
  if (verdicts.every((verdict) => verdict === null)) return touched
  return touched.map(({ entity, index, id, observations, places, lost }) => {
    const known = observations.map((one, i) => ({ ...one, verdict: verdicts[places[i] ?? -1] ?? null }))
    return { entity, index, id, observations: known, places, lost }
  })
}

function observationOf({ record, event, observedAtMs, isScored }: DecodedEvent, binding: EntityBinding): Observation {
  return {
    offset: record.offset,
    appendTimeMs: record.appendTimeMs,
    eventId: event.eventId,
    timeMs: observedAtMs,
    eventTimeMs: event.timestamp,
    data: event.data,
    binding,
    reads: isScored,
    verdict: null,
    record: binding.label === null ? null : () => textOf(record),
  }
}

/** Where a batch stands in its partition. */
export interface BatchFloor {
  readonly partition: number
  /** The batch's first offset: older stored responses may go (R3). */
  readonly floorOffset: number
}

/** Applies all observations of the batch on an entity as one step (R2). Pure: what was loaded stays as it is. */
export function observe(loaded: readonly Loaded[], { partition, floorOffset }: BatchFloor): Answering[] {
  return loaded.map(({ touched, base, cached, clearings }) => {
    const { entity, observations } = touched
    const { state: next, answers, changed } = observeEntity(entity, base.state, observations, partition, floorOffset)
    return { touched, base, cached, clearings, next, answers, isChanged: changed }
  })
}

/** The outcome of each record of the batch, from the answers of all entities. */
export function answer(
  { entities }: FeaturePlan,
  decoded: readonly Decoded[],
  settled: readonly Answering[],
): Observed[] {
  const byEntity = entities.map((_, index) => answersOf(decoded.length, index, settled))
  return decoded.map((event, place) => (event.kind === 'invalid' ? event : observedEvent(event, place, byEntity)))
}

/** Counts the states that the store took, and the compare-and-sets lost on the way. */
export function writesOf(settled: readonly Answering[]): { readonly written: number; readonly conflicts: number } {
  let [written, conflicts] = [0, 0]
  for (const { isChanged, touched } of settled) {
    if (isChanged) written += 1
    conflicts += touched.lost
  }
  return { written, conflicts }
}

/** By place in the batch: what the entities of one kind answered to the event there, null where it names none. */
function answersOf(length: number, index: number, settled: readonly Answering[]): readonly (Answer | null)[] {
  const found = new Array<Answer | null>(length).fill(null)
  for (const { touched, answers } of settled) {
    if (touched.index !== index) continue
    let i = 0
    for (const place of touched.places) found[place] = answers[i++] ?? null
  }
  return found
}

/** By place in the batch: the verdict of the partition-key entity, which settled before. */
function verdictsOf(length: number, settled: readonly Answering[]): readonly Verdict[] {
  const verdicts = new Array<Verdict>(length).fill(null)
  for (const { touched, answers } of settled) {
    let i = 0
    for (const place of touched.places) verdicts[place] = verdictIn(answers[i++] ?? null)
  }
  return verdicts
}

function verdictIn(answer: Answer | null): Verdict {
  if (answer === null) return null
  return answer.kind === 'gone' ? answer.verdict : verdictOf(answer.response.outcome)
}

function observedEvent(
  decoded: DecodedEvent,
  place: number,
  byEntity: readonly (readonly (Answer | null)[])[],
): Observed {
  const { record } = decoded
  const responses: (StoredResponse | null)[] = []
  let verdict: Verdict = null
  for (const answers of byEntity) {
    const answer = answers[place] ?? null
    if (answer?.kind === 'gone') return { kind: 'gone', record, decoded }
    verdict ??= verdictIn(answer)
    responses.push(answer?.response ?? null)
  }
  if (verdict === 'duplicate') return { kind: 'duplicate', record, decoded }
  return { kind: 'applied', record, decoded, responses, verdict }
}
