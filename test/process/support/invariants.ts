import { expect } from 'vitest'
import { createDerivedEvaluator } from '../../../src/compile/reference/evaluator.ts'
import { referenceFeatures, type ReferenceObservation } from '../../../src/compile/reference/reference.ts'
import { paymentScored, paymentScoredSchema, type PaymentScored } from '../../support/payment-scores.ts'
import { deadLetterCodes } from '../../../src/scoring/dead-letter-code.ts'
import {
  deadLetterSchema,
  outputTypes,
  eventObservedSchema,
  type DeadLetter,
  type EntityPosition,
} from '../../../src/scoring/output-events.ts'
import type { DomainEvent } from '../../../src/events/event.ts'
import { noLabels } from '../../../src/engine/state/labels.ts'
import { observe, verdictOf } from '../../../src/engine/observe.ts'
import { readRecordEvent } from '../../../src/events/codec/record-event.ts'
import { entityIdOf, type EntityPlan } from '../../../src/engine/plan.ts'
import { recentIdList, recentIdsOf } from '../../../src/engine/state/recent-ids.ts'
import { decodeState } from '../../../src/engine/state-codec/state-blob.ts'
import { stateTiles, tablesOf, type EntityState } from '../../../src/engine/state/state.ts'
import { emptyTiles, plainTables } from '../../../src/engine/tiles/tiles.ts'
import { noWaiting } from '../../../src/engine/state/waiting-labels.ts'
import { createVectorWriter } from '../../../src/scoring/vector.ts'
import type { EventLog, LogRecord } from '../../../src/ports/log.ts'
import type { Scorer } from '../../../src/ports/scorer.ts'
import type { StateStore } from '../../../src/ports/states.ts'
import { keyAndHeadersOf } from '../../../src/process/dead-letters/dead-letter.ts'
import { compiled, scorer } from './wiring.ts'
import { servicePlan } from '../../../src/scoring/service.ts'

const { catalog, plan, set } = compiled
const service = servicePlan(plan, scorer.service)
const decoder = new TextDecoder()

/** All that can be seen of an installation from the outside. */
export interface Outside {
  readonly topics: { readonly events: string; readonly scores: string; readonly deadLetters: string }
  readonly group: string
  readonly log: Pick<EventLog, 'committed' | 'describeTopic'>
  readonly store: Pick<StateStore, 'load' | 'positions'>
  /** Every record of a topic, by partition and offset. */
  read(topic: string): Promise<readonly LogRecord[]>
}

/** One emitted event, with every copy of it that is in the log. */
export interface OutputEvent<Data> {
  readonly id: string
  readonly type: string
  readonly envelope: Readonly<Record<string, unknown>>
  readonly data: Data
  readonly copies: readonly LogRecord[]
}

/** What an event did, told by what was published of it. */
interface Told {
  readonly record: LogRecord
  readonly event: DomainEvent
  readonly observedAtMs: number
  readonly entities: Readonly<Record<string, EntityPosition>>
  readonly scored: PaymentScored | null
}

export interface Findings {
  readonly told: readonly Told[]
  readonly scored: readonly OutputEvent<PaymentScored>[]
  readonly deadLetters: readonly OutputEvent<DeadLetter>[]
  readonly copies: number
}

/** The model that a score names. */
export type ScorerOf = (model: PaymentScored['model']) => Pick<Scorer, 'score'>

/**
 * I1, I2, I3, I4 and I6, from the outside: from the topics and the stored states alone. Assumes that everything was
 * published by a program that may have crashed at any point, and that Redis lost nothing.
 */
export async function checkInvariants(world: Outside, scorerOf: ScorerOf = () => scorer): Promise<Findings> {
  const events = await world.read(world.topics.events)
  const scores = byId(await world.read(world.topics.scores))
  // That a letter was replayed is caused by a person, and nothing to recompute.
  const letters = byId(await world.read(world.topics.deadLetters)).filter(
    ({ type }) => type !== outputTypes.deadLetterReplayed,
  )
  const deadLetters = letters.map((letter) => ({ ...letter, data: deadLetterSchema.parse(letter.data) }))
  checkCopies([...scores, ...letters])
  const told = tell(events, scores, deadLetters)
  await checkStates(world, told, events, deadLetters)
  await checkFeatures(told, scorerOf)
  await checkPositions(world)
  const scored = scores.filter(({ type }) => type === 'payment.scored') as OutputEvent<PaymentScored>[]
  return {
    told,
    scored,
    deadLetters,
    copies: [...scores, ...letters].reduce((sum, { copies }) => sum + copies.length - 1, 0),
  }
}

function byId(records: readonly LogRecord[]): OutputEvent<unknown>[] {
  const found = new Map<string, LogRecord[]>()
  const envelopes = new Map<string, Record<string, unknown>>()
  for (const record of records) {
    const envelope = JSON.parse(decoder.decode(record.value)) as Record<string, unknown>
    const id = envelope['id'] as string
    found.set(id, [...(found.get(id) ?? []), record])
    if (!envelopes.has(id)) envelopes.set(id, envelope)
  }
  return [...found].map(([id, copies]) => {
    const envelope = envelopes.get(id) ?? {}
    return { id, type: envelope['type'] as string, envelope, data: envelope['data'], copies }
  })
}

/** I2: one id, one event, byte for byte; also in its key, its headers and its partition. */
function checkCopies(outputEvents: readonly OutputEvent<unknown>[]): void {
  for (const { id, copies } of outputEvents) {
    const shapes = copies.map(({ partition, key, headers, value }) =>
      JSON.stringify([partition, key, headers, decoder.decode(value)]),
    )
    expect(new Set(shapes).size, `I2: copies of ${id} differ`).toBe(1)
  }
}

/** I2 and I6: every record has one answer, and no answer is without its record. */
function tell(
  events: readonly LogRecord[],
  scores: readonly OutputEvent<unknown>[],
  deadLetters: readonly OutputEvent<DeadLetter>[],
): Told[] {
  const place = (at: { partition: number; offset: number }) => `${at.partition}:${at.offset}`
  const dead = new Map(deadLetters.map((letter) => [place(letter.data.position), letter]))
  const answers = new Map(
    scores.map(({ type, data, id }) => {
      const parsed = type === 'payment.scored' ? paymentScoredSchema.parse(data) : eventObservedSchema.parse(data)
      return [
        place(parsed.position),
        { id, parsed, scored: type === 'payment.scored' ? paymentScoredSchema.parse(data) : null },
      ]
    }),
  )
  expect(answers.size, 'one event per position').toBe(scores.length)
  const told: Told[] = []
  for (const record of events) {
    const at = place(record)
    const [letter, answer] = [dead.get(at), answers.get(at)]
    const result = readRecordEvent(record, catalog)
    // A label that counts nowhere has taken numbers, and is dead-lettered.
    const verdict = verdictOf(answer?.parsed.entities['customer']?.outcome ?? 'applied')
    const hasOne = (letter === undefined) !== (answer === undefined)
    expect(hasOne || verdict !== null, `record ${at} has one answer`).toBe(true)
    if (letter !== undefined) {
      expect(letter.data.code, at).toBe(result.kind === 'invalid' ? result.code : (verdict ?? 'duplicate_event'))
      expect(letter.data.value, at).toBe(Buffer.from(record.value).toString('base64'))
      expect(keyAndHeadersOf(letter.data), at).toEqual({ key: record.key, headers: record.headers })
      if (verdict === null) continue
    }
    if (result.kind === 'invalid' || answer === undefined) throw new Error(`${at} is invalid and was applied`)
    const { event, observedAt } = result
    expect(answer.scored !== null, at).toBe(event.eventType === paymentScored.eventType)
    const cause = verdict === null ? event.eventId : `${record.topic}:${at}`
    expect(answer.id).toBe(`${event.aggregateId}/${cause}:${answer.scored === null ? 'observed' : 'scored'}`)
    const { entities } = answer.parsed
    told.push({ record, event, observedAtMs: observedAt, entities, scored: answer.scored })
  }
  const counting = told.filter(({ entities }) => verdictOf(entities['customer']?.outcome ?? 'applied') === null)
  expect(counting.length + deadLetters.length, 'every record is answered, and nothing else is').toBe(events.length)
  expect(new Set(counting.map(({ event }) => event.eventId)).size, 'I1: no id was applied twice').toBe(counting.length)
  return told
}

/** I1: each entity's state is that of its events, one by one, in the order of their sequence numbers. */
async function checkStates(
  world: Outside,
  told: readonly Told[],
  events: readonly LogRecord[],
  deadLetters: readonly OutputEvent<DeadLetter>[],
): Promise<void> {
  for (const [index, entity] of plan.entities.entries()) {
    const lives = new Map<string, Told[]>()
    for (const one of told) {
      const id = one.entities[entity.name]?.id
      if (id !== undefined) lives.set(id, [...(lives.get(id) ?? []), one])
    }
    const duplicates = duplicatesOf(entity, events, deadLetters)
    for (const [id, life] of lives) {
      const [blob] = await world.store.load([{ entity: entity.name, id }])
      if (blob === null || blob === undefined) throw new Error(`I1: no state of ${entity.name} ${id}`)
      const stored = decodeState(entity, blob)
      const where = `I1: ${entity.name} ${id}`
      const sequences = life.map((one) => one.entities[entity.name]?.sequence ?? NaN)
      expect(new Set(sequences).size, `${where}: a sequence number was given twice`).toBe(life.length)
      const handled = life.length + (duplicates.get(id) ?? 0)
      expect(stored.sequence - stored.incarnation, `${where}: events counted`).toBe(handled)
      const replayed = replay(entity, index, life, stored)
      expect(plainTables(entity, tablesOf(replayed)), where).toEqual(plainTables(entity, tablesOf(stored)))
      expect([replayed.newestTimeMs, replayed.sequence], where).toEqual([stored.newestTimeMs, stored.sequence])
      expect(hashesOf(replayed), where).toEqual(hashesOf(stored))
      expect([replayed.subjects, replayed.labels], where).toEqual([stored.subjects, stored.labels])
    }
  }
}

function duplicatesOf(
  entity: EntityPlan,
  events: readonly LogRecord[],
  deadLetters: readonly OutputEvent<DeadLetter>[],
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { data } of deadLetters) {
    expect(deadLetterCodes).toContain(data.code)
    if (data.code !== 'duplicate_event') continue
    const { partition, offset } = data.position
    const record = events.find((candidate) => candidate.partition === partition && candidate.offset === offset)
    const result = record === undefined ? null : readRecordEvent(record, catalog)
    if (result?.kind !== 'valid') throw new Error('a duplicate is a valid event')
    const fields = result.event.data as Record<string, unknown>
    if (!entity.keyFields.every((field) => field in fields)) continue
    const id = entityIdOf(entity.keyFields, fields)
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  return counts
}

/** One observation at a time; a number that nobody tells of was a duplicate's. */
function replay(entity: EntityPlan, index: number, life: readonly Told[], stored: EntityState): EntityState {
  const inOrder = [...life].sort(
    (a, b) => (a.entities[entity.name]?.sequence ?? 0) - (b.entities[entity.name]?.sequence ?? 0),
  )
  let state: EntityState | null = null
  for (const { record, event, observedAtMs, entities } of inOrder) {
    const position = entities[entity.name]
    const binding = plan.events.get(event.eventType)?.bindings[index] ?? null
    if (binding === null || position === undefined) throw new Error(`${event.eventId} touches ${entity.name}`)
    expect(position.incarnation, `${entity.name} ${position.id}: one life`).toBe(stored.incarnation)
    state ??= observe(entity, null, [], 0, 0).state ?? emptyLife(entity, stored.incarnation)
    state.sequence = position.sequence
    const observation = {
      offset: record.offset,
      appendTimeMs: record.appendTimeMs,
      eventId: event.eventId,
      timeMs: observedAtMs,
      eventTimeMs: event.timestamp,
      data: event.data as Record<string, unknown>,
      binding,
      reads: false,
      verdict: verdictOf(position.outcome),
    }
    // Each in a partition of its own: what was applied before is the stored state's business, not this one's.
    state = observe(entity, { ...state, partitions: [] }, [observation], record.partition, record.offset).state
    const outcome = state?.partitions[0]?.responses[0]?.outcome
    expect(outcome, `${event.eventId} at ${entity.name} ${position.id}`).toBe(position.outcome)
  }
  if (state === null) throw new Error('a life has events')
  // Duplicates at the end took numbers, too.
  return { ...state, sequence: Math.max(state.sequence, stored.sequence) }
}

const hashesOf = ({ recentIds }: EntityState) => recentIdList(recentIds).map(({ high, low }) => [high, low])

function emptyLife(entity: EntityPlan, incarnation: number): EntityState {
  return {
    sequence: incarnation,
    incarnation,
    newestTimeMs: null,
    ...stateTiles(entity.groups.map(emptyTiles)),
    recentIds: recentIdsOf([]),
    subjects: { numbers: [], newestHour: null },
    labels: noLabels,
    waiting: noWaiting,
    partitions: [],
  }
}

/** I3: features, derived features and scores, recomputed from the logged sequence numbers alone. */
async function checkFeatures(told: readonly Told[], scorerOf: ScorerOf): Promise<void> {
  const derive = createDerivedEvaluator(set)
  const { vectorOf } = createVectorWriter(plan.values, service)
  const observations = new Map<string, ReferenceObservation[]>()
  for (const { event, observedAtMs, entities } of told) {
    for (const [entity, { id, sequence }] of Object.entries(entities)) {
      const key = `${entity}:${id}`
      const data = event.data as Record<string, unknown>
      if (verdictOf(entities[entity]?.outcome ?? 'applied') !== null) continue
      const list = observations.get(key) ?? []
      list.push({ sequence, timeMs: observedAtMs, eventTimeMs: event.timestamp, eventType: event.eventType, data })
      observations.set(key, list)
    }
  }
  for (const { scored, observedAtMs, event } of told) {
    if (scored === null) continue
    const aggregated: Record<string, number | null> = {}
    for (const [entity, { id, sequence, incarnation }] of Object.entries(scored.entities)) {
      const read = { sequence, incarnation, timeMs: observedAtMs }
      Object.assign(aggregated, referenceFeatures(set, entity, observations.get(`${entity}:${id}`) ?? [], read))
    }
    const request = { amountMinor: scored.amountMinor, timeMs: observedAtMs }
    const expected = { ...aggregated, ...derive(aggregated, request) }
    expect(scored.features, `I3: ${event.eventId}`).toEqual(expected)
    const vector = vectorOf(service.names.map((name) => expected[name] ?? null))
    expect(scored.score, `I3: the score of ${event.eventId}`).toBe((await scorerOf(scored.model).score(vector, 1))[0])
  }
}

/** I4, at the end: committed is what the states know, and the whole log. */
async function checkPositions(world: Outside): Promise<void> {
  const { events } = world.topics
  const [committed, applied] = [await world.log.committed(world.group, events), await world.store.positions(events)]
  for (const { partition, end } of (await world.log.describeTopic(events)) ?? []) {
    if (end === 0) continue
    expect(committed.get(partition), `partition ${partition}`).toBe(end)
    expect(applied.get(partition), `partition ${partition}`).toBe(end)
  }
}
