import { decodeState, encodeState, type Outcome } from '../../src/engine/states.ts'
import { createDerivedEvaluator } from '../../src/compile/reference/evaluator.ts'
import { referenceFeatures } from '../../src/compile/reference/reference.ts'
import { referenceVerdict, type ReferenceEvent } from '../../src/compile/reference/labels.ts'
import { createMemoryEngine, type MemoryEngine } from '../../src/engine/memory-engine.ts'
import type { DomainEvent, EventData } from '../../src/events/event.ts'
import { featuresOf, type RequestValues } from '../../src/engine/expression.ts'
import { readFeatures, verdictOf } from '../../src/engine/observe.ts'
import { entityIdOf, type EntityPlan, type FeaturePlan, type ServicePlan } from '../../src/engine/plan.ts'
import { createValues } from '../../src/scoring/vector.ts'
import type { FeatureSet } from '../../src/define/feature-set.ts'
import { scoredTypes } from './definitions.ts'
import { eventTimeOf, type StreamEvent } from './stream.ts'

/** One event as one entity observed it; duplicates are no observations. */
export interface Observed extends ReferenceEvent {
  readonly id: string
  readonly outcome: Outcome
  /** The offset of its event in the stream. */
  readonly offset: number
}

/** A read, and the engine's answer. */
export interface Read {
  readonly id: string
  readonly incarnation: number
  readonly sequence: number
  readonly timeMs: number
  readonly features: readonly (number | null)[]
  readonly where: string
  /** A read of an event, not one as of some time. */
  readonly isEvent: boolean
}

/** An event that does not name an entity. */
export interface Unnamed {
  readonly timeMs: number
  readonly eventType: string
  readonly eventId: string
}

/** The vector of a scored event: the values of a service, aggregated features first. */
export interface Scored {
  readonly values: readonly (number | null)[]
  readonly request: RequestValues
  readonly where: string
}

export interface Told {
  /** By entity index. */
  readonly observed: readonly Observed[][]
  readonly reads: readonly Read[][]
  readonly scored: readonly Scored[]
  /** By entity index. */
  readonly unnamed: readonly Unnamed[][]
}

export interface Totals {
  reads: number
  present: number
  late: number
  duplicates: number
  /** Labels that count nowhere. */
  uncounted: number
  /** Labels that replace another one. */
  replaced: number
  forgotten: number
  derived: number
  /** Scored events that name no terminal. */
  unnamed: number
  /** Derived values that are missing although their inputs are there: an operation had no finite answer. */
  undefinedAnswers: number
}

export const noTotals = (): Totals => ({
  reads: 0,
  present: 0,
  late: 0,
  duplicates: 0,
  uncounted: 0,
  replaced: 0,
  forgotten: 0,
  derived: 0,
  unnamed: 0,
  undefinedAnswers: 0,
})

/**
 * Runs a stream through the engine, encodes and decodes states where the stream says so, and reads as of other times.
 */
export function runEngine(plan: FeaturePlan, events: readonly StreamEvent[]): Told {
  const engine = createMemoryEngine(plan)
  const told = {
    observed: plan.entities.map((): Observed[] => []),
    reads: plan.entities.map((): Read[] => []),
    scored: [] as Scored[],
    unnamed: plan.entities.map((): Unnamed[] => []),
  }
  const { valuesOf } = createValues(plan.values)
  let pausedMs = 0
  for (const [offset, event] of events.entries()) {
    pausedMs += event.pauseMs ?? 0
    const position = { partition: 0, offset, appendTimeMs: 1_780_000_000_000 + pausedMs + offset * 7 }
    const responses = engine.apply(domainEvent(event), event.timeMs, position, true)
    if (scoredTypes.has(event.eventType)) {
      const values = valuesOf(responses, event.data, event.timeMs)
      told.scored.push({ values, request: { ...event.data, timeMs: event.timeMs }, where: `event ${offset}` })
    }
    for (const [index, snapshot] of responses.entries()) {
      const entity = plan.entities[index]
      if (entity === undefined) continue
      const isNamed = entity.keyFields.every((field) => typeof event.data[field] === 'string')
      if (isNamed !== (snapshot !== null))
        throw new Error(`event ${offset} names ${isNamed ? 'a' : 'no'} ${entity.name}`)
      if (snapshot === null) {
        told.unnamed[index]?.push({ timeMs: event.timeMs, eventType: event.eventType, eventId: event.eventId })
        continue
      }
      const id = entityIdOf(entity.keyFields, event.data)
      const { incarnation, sequence, outcome, features } = snapshot
      const where = `event ${offset} at ${entity.name} ${id}`
      told.reads[index]?.push({
        id,
        incarnation,
        sequence,
        timeMs: event.timeMs,
        features: features ?? [],
        where,
        isEvent: true,
      })
      if (outcome === 'duplicate') continue
      const { eventId, timeMs, eventType, data } = event
      const times = { timeMs, eventTimeMs: eventTimeOf(event) }
      told.observed[index]?.push({ id, incarnation, sequence, outcome, eventId, ...times, eventType, data, offset })
    }
    if (event.stored === true) storeAndLoad(engine.states, plan.entities)
    if (event.asOf !== undefined) readAsOf(plan.entities, engine.states, event.asOf, told.reads)
  }
  return told
}

/**
 * By the offset of each event that is no duplicate: why a label counts nowhere. The partition-key entity comes first.
 */
function verdictsOf(set: FeatureSet, { observed }: Told): ReadonlyMap<number, ReturnType<typeof referenceVerdict>> {
  const owners = observed[0] ?? []
  return new Map(
    owners.map((o, i) => {
      const earlier = owners.slice(0, i).filter(({ id }) => id === o.id)
      return [o.offset, referenceVerdict(set, earlier, o)]
    }),
  )
}

/** Compares the engine with the oracle. Answers the first difference as text, null when there is none. */
export function compareWithReference(set: FeatureSet, plan: FeaturePlan, told: Told, totals: Totals): string | null {
  const verdicts = verdictsOf(set, told)
  totals.uncounted += [...verdicts.values()].filter((verdict) => verdict !== null).length
  for (const [index, entity] of plan.entities.entries()) {
    const history = new Map<string, Observed[]>()
    for (const o of told.observed[index] ?? []) {
      const [said, wanted] = [verdictOf(o.outcome), verdicts.get(o.offset) ?? null]
      if (said !== wanted)
        return `event ${o.offset} at ${entity.name}: ${o.outcome}, the reference says ${String(wanted)}`
      if (wanted === null) history.set(o.id, [...(history.get(o.id) ?? []), o])
    }
    for (const read of told.reads[index] ?? []) {
      const seen = history.get(read.id) ?? []
      const expected = referenceFeatures(set, entity.name, seen, read)
      const names = Object.keys(expected)
      if (names.length !== read.features.length)
        return `${read.where}: ${read.features.length} of ${names.length} features`
      for (const [i, { name }] of entity.features.entries()) {
        const [found, wanted] = [read.features[i], expected[name]]
        if (!Object.is(found, wanted)) return `${read.where}: ${name} is ${found}, the reference says ${wanted}`
        totals.reads += 1
        if (found !== null && found !== 0) totals.present += 1
      }
      if (seen.some((o) => o.sequence < read.sequence && o.timeMs < read.timeMs - entity.horizonMs))
        totals.forgotten += 1
    }
    totals.unnamed += (told.unnamed[index] ?? []).filter(({ eventType }) => scoredTypes.has(eventType)).length
    totals.replaced += replacedOf(history)
    totals.late += (told.observed[index] ?? []).filter(({ outcome }) => outcome === 'too_late').length
    totals.duplicates += (told.reads[index]?.length ?? 0) - (told.observed[index]?.length ?? 0)
  }
  return compareDerived(set, plan, told, totals)
}

function compareDerived(set: FeatureSet, plan: FeaturePlan, told: Told, totals: Totals): string | null {
  const derive = createDerivedEvaluator(set)
  const { names } = serviceOf(plan)
  const readBy = new Map(set.derived.map(({ name, expression }) => [name, featuresOf(expression.tree)]))
  for (const { values, request, where } of told.scored) {
    const aggregated = names.flatMap((name, i) => (readBy.has(name) ? [] : [[name, values[i] ?? null] as const]))
    const expected = derive(Object.fromEntries(aggregated), request)
    for (const [i, name] of names.entries()) {
      const read = readBy.get(name)
      if (read === undefined) continue
      const [found, wanted] = [values[i], expected[name]]
      if (!Object.is(found, wanted)) return `${where}: ${name} is ${found}, the reference says ${wanted}`
      totals.derived += 1
      if (found === null && read.every((feature) => values[names.indexOf(feature)] !== null))
        totals.undefinedAnswers += 1
    }
  }
  return null
}

function replacedOf(history: ReadonlyMap<string, readonly Observed[]>): number {
  let replaced = 0
  for (const observed of history.values()) {
    const subjects = observed.flatMap(({ eventType, data: { paymentId } }) =>
      typeof paymentId === 'string' ? [`${eventType.split('.')[0]} ${paymentId}`] : [],
    )
    replaced += subjects.length - new Set(subjects).size
  }
  return replaced
}

export function serviceOf(plan: FeaturePlan): ServicePlan {
  const [service] = plan.services
  if (service === undefined) throw new Error('a random feature set has a service')
  return service
}

/** Encodes and decodes the states, as between two batches. */
function storeAndLoad(states: MemoryEngine['states'], entities: readonly EntityPlan[]): void {
  for (const [index, byId] of states.entries()) {
    const entity = entities[index]
    if (entity === undefined) continue
    for (const [id, state] of byId) byId.set(id, decodeState(entity, encodeState(entity, state)))
  }
}

/** HTTP reads: at a time before or after the newest observation of each state. */
function readAsOf(
  entities: readonly EntityPlan[],
  states: MemoryEngine['states'],
  asOf: NonNullable<StreamEvent['asOf']>,
  reads: readonly Read[][],
): void {
  const { timeMs } = asOf
  for (const [index, entity] of entities.entries()) {
    const id = entityIdOf(entity.keyFields, asOf)
    const state = states[index]?.get(id)
    if (state === undefined) continue
    const { sequence, incarnation } = state
    const { features } = readFeatures(entity, state, timeMs)
    const where = `as of ${timeMs} at ${entity.name} ${id}`
    reads[index]?.push({ id, incarnation, sequence, timeMs, features, where, isEvent: false })
  }
}

function domainEvent(event: StreamEvent): DomainEvent<EventData> {
  return {
    eventId: event.eventId,
    eventType: event.eventType,
    timestamp: eventTimeOf(event),
    aggregateId: String(event.data['customerId']),
    aggregateType: 'customer',
    version: 1,
    data: event.data,
  }
}
