import { decodeState } from '../../src/engine/states.ts'
import { paymentInitiated } from '../../features/sources.ts'
import type { Installation } from './installation.ts'
import { definitions, type Definitions } from '../../src/app/installation/settings/definitions.ts'
import { openStateStore } from '../../src/app/installation/servers/event-log.ts'
import { referenceVerdict, type ReferenceEvent } from '../../src/compile/reference/labels.ts'
import { outputTypes } from '../../src/scoring/output-events.ts'
import { readRecordEvent } from '../../src/events/codec/record-event.ts'
import { entityIdOf } from '../../src/engine/plan.ts'
import type { LogRecord } from '../../src/ports/log.ts'

/** Compares the output events and states that the events of the log call for with those that exist. */
export interface Comparison {
  readonly violations: readonly string[]
  /** The number of copies of an event with other bytes. */
  readonly differing: number
  readonly payments: number
  readonly duplicates: number
  readonly invalid: number
}

interface OutputEvent {
  readonly type: string
  /** The code of a dead letter. */
  readonly code: string | null
  readonly bytes: Set<string>
  copies: number
}

const decoder = new TextDecoder()

export async function compareWithInput(installation: Installation): Promise<Comparison> {
  const { topics } = installation.names
  const [events, scores, letters] = await Promise.all(
    [topics.events, topics.scores, topics.deadLetters].map((topic) => installation.read(topic)),
  )
  const answers = emittedAt([...(scores ?? []), ...(letters ?? [])])
  const violations: string[] = []
  const compiled = definitions(installation.config)
  const counts = { payments: 0, duplicates: 0, invalid: 0 }
  const known: Known = { ids: new Set(), applied: new Set(), visits: new Map(), told: new Map() }
  for (const record of events ?? []) {
    const at = `${record.partition}:${record.offset}`
    const expected = expectationOf(record, compiled, known)
    if (expected.type === 'payment.scored') counts.payments += 1
    if (expected.code === 'duplicate_event') counts.duplicates += 1
    else if (expected.code !== null) counts.invalid += 1
    const found = answers.get(at) ?? []
    const textOf = ({ type, code }: Answer) => `${type} ${code ?? ''}`.trim()
    const [told, wanted] = [found, answersOf(expected)].map((all) => all.map(textOf).sort().join(', '))
    if (told !== wanted) violations.push(`record ${at}: ${wanted} was expected, found: ${told}`)
  }
  for (const id of installation.sender.events.keys()) {
    if (!known.ids.has(id)) violations.push(`${id} was acknowledged and is not in the log`)
  }
  violations.push(...(await miscounted(installation, compiled, known.visits)))
  const all = [...answers.values()].flat()
  return { violations, differing: all.reduce((sum, { bytes }) => sum + bytes.size - 1, 0), ...counts }
}

/** By the position of the record that caused them. */
function emittedAt(records: readonly LogRecord[]): ReadonlyMap<string, readonly OutputEvent[]> {
  const found = new Map<string, Map<string, OutputEvent>>()
  for (const record of records) {
    const text = decoder.decode(record.value)
    const envelope = parsed(text) as {
      readonly id: string
      readonly type: string
      readonly data?: {
        readonly position: { readonly partition: number; readonly offset: number }
        readonly code?: string
      }
    } | null
    // Poison in a topic of ours: the lake has it, and no record caused it.
    if (envelope?.data?.position === undefined) continue
    // A person caused it, not a record; its position is that of a letter.
    if (envelope.type === outputTypes.deadLetterReplayed) continue
    const at = `${envelope.data.position.partition}:${envelope.data.position.offset}`
    const here = found.get(at) ?? new Map<string, OutputEvent>()
    found.set(at, here)
    const { type, data } = envelope
    const known = here.get(envelope.id) ?? { type, code: data.code ?? null, bytes: new Set<string>(), copies: 0 }
    known.bytes.add(text)
    known.copies += 1
    here.set(envelope.id, known)
  }
  return new Map([...found].map(([at, here]) => [at, [...here.values()]]))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

type Answer = Pick<OutputEvent, 'type' | 'code'>

/** The results of the records before. */
interface Known {
  /** The ids of all events. */
  readonly ids: Set<string>
  /** The ids of applied events: another one is a duplicate. */
  readonly applied: Set<string>
  /** The number of events that name an entity, by its kind and id. */
  readonly visits: Map<string, number>
  /** The events that each customer's state has counted, in order. */
  readonly told: Map<string, ReferenceEvent[]>
}

/** A label that counts nowhere takes sequence numbers and has two output events: an observed one and a dead letter. */
function answersOf({ type, code }: Answer): Answer[] {
  const isBoth = type === 'event.observed' && code !== null
  return isBoth
    ? [
        { type, code: null },
        { type: 'event.dead_lettered', code },
      ]
    : [{ type, code }]
}

/** The output event that one record must have, given those before it. */
function expectationOf(
  record: LogRecord,
  { catalog, plan, set }: Definitions,
  { ids, applied, visits, told }: Known,
): Answer {
  if (record.fault !== undefined) return { type: 'event.dead_lettered', code: record.fault.code }
  const decoded = readRecordEvent(record, catalog)
  if (decoded.kind === 'invalid') return { type: 'event.dead_lettered', code: decoded.code }
  const { event } = decoded
  for (const [i, entity] of plan.entities.entries()) {
    const binding = plan.events.get(event.eventType)?.bindings[i] ?? null
    if (binding === null) continue
    const name = `${entity.name}:${entityIdOf(entity.keyFields, event.data)}`
    visits.set(name, (visits.get(name) ?? 0) + 1)
  }
  ids.add(event.eventId)
  if (applied.has(event.eventId)) return { type: 'event.dead_lettered', code: 'duplicate_event' }
  const { eventId, eventType, aggregateId, timestamp: eventTimeMs } = event
  const data = event.data as Record<string, unknown>
  const earlier = told.get(aggregateId) ?? []
  told.set(aggregateId, earlier)
  const times = { timeMs: decoded.observedAt, eventTimeMs }
  const one = { eventId, eventType, data, ...times, sequence: earlier.length, incarnation: 0 }
  const verdict = referenceVerdict(set, earlier, one)
  if (verdict !== null) return { type: 'event.observed', code: verdict }
  applied.add(eventId)
  earlier.push(one)
  return { type: eventType === paymentInitiated.type ? 'payment.scored' : 'event.observed', code: null }
}

/** I1 in the states themselves: each has counted every event that names its entity, once. */
async function miscounted(
  installation: Installation,
  { plan }: Definitions,
  visits: ReadonlyMap<string, number>,
): Promise<string[]> {
  const store = await openStateStore(installation.config)
  const violations: string[] = []
  try {
    for (const entity of plan.entities) {
      const prefix = `${entity.name}:`
      const named = [...visits].filter(([name]) => name.startsWith(prefix))
      const blobs = await store.load(named.map(([name]) => ({ entity: entity.name, id: name.slice(prefix.length) })))
      for (const [i, [name, expected]] of named.entries()) {
        const blob = blobs[i] ?? null
        const state = blob === null ? null : decodeState(entity, blob)
        const counted = state === null ? 0 : state.sequence - state.incarnation
        if (counted !== expected) violations.push(`I1: ${name} has counted ${counted} events of ${expected}`)
      }
    }
  } finally {
    await store.close()
  }
  return violations
}
