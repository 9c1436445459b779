import { riverbank } from '../../../../features/index.ts'
import { compileManifest } from '../../../../src/compile/manifest.ts'
import { compilePlan } from '../../../../src/compile/plan.ts'
import { createFeatureSql } from '../../../../src/compile/sql/feature-sql.ts'
import { encodeEvent, type EventCatalog } from '../../../../src/events/event.ts'
import { openQuery } from '../../../../src/edges/duckdb/query.ts'
import type { Lake } from '../../../../src/lake/commit/lake.ts'
import { lakeSchema } from '../../../../src/lake/tables/derive-lake-schema.ts'
import { verifyLake, type VerifyOptions } from '../../../../src/lake/verify/verify.ts'
import type { LogRecord } from '../../../../src/ports/log.ts'
import type { Scorer } from '../../../../src/ports/scorer.ts'
import type { EntityKey } from '../../../../src/ports/states.ts'
import { plainExplanations } from '../../../support/explainer.ts'
import { batchOf, claimOf, day, materializer, topics } from '../../support/feed.ts'
import { runWith, type LogContent, type Sent } from './runner.ts'

export type { LogContent, Sent } from './runner.ts'

export const manifest = compileManifest(riverbank)
export const plan = compilePlan(riverbank)
const catalog: EventCatalog = new Map(riverbank.events.map((event) => [event.type, event]))
export const schema = lakeSchema({ catalog, manifest })

const [service] = plan.services
if (service === undefined) throw new Error('the feature set has a service')

/** A model small enough to be seen through: the mean of the vector, squashed. */
export const scorer: Scorer = {
  name: 'mean',
  version: '1',
  service: 'fraud_v1',
  thresholds: { review: 0.5, block: 0.9 },
  explanations: plainExplanations(service.vector.map((index) => service.names[index] ?? '')),
  score(vectors, rows) {
    const width = vectors.length / Math.max(1, rows)
    const scores = Float32Array.from({ length: rows }, (_, row) => {
      const sum = vectors.slice(row * width, (row + 1) * width).reduce((total, value) => total + value, 0)
      return sum / (Math.abs(sum) + 1_000)
    })
    return Promise.resolve(scores)
  },
  close: () => Promise.resolve(),
}

interface Who {
  readonly customer?: string
  readonly terminal?: string
  readonly amount?: number
}

function sent(type: string, id: string, timeMs: number, appendTimeMs: number, customer: string, data: object): Sent {
  const text = encodeEvent({
    eventId: id,
    eventType: type,
    timestamp: timeMs,
    aggregateId: customer,
    aggregateType: 'customer',
    version: type === 'payment.initiated' ? 2 : 1,
    data: { customerId: customer, ...data },
    metadata: { source: 'urn:test' },
  })
  return { partition: Number(customer.slice(1)) % 2, text, appendTimeMs }
}

export function pay(id: string, timeMs: number, appendMs: number, who: Who = {}): Sent {
  const { customer = 'c1', terminal = 't1', amount = 1_234 } = who
  const data = { terminalId: terminal, amountMinor: amount, currency: 'EUR' }
  return sent('payment.initiated', id, timeMs, appendMs, customer, data)
}

export function report(id: string, paymentId: string, paymentTimeMs: number, appendMs: number, who: Who = {}): Sent {
  const { customer = 'c1', terminal = 't1', amount = 1_234 } = who
  const data = {
    paymentId,
    terminalId: terminal,
    amountMinor: amount,
    currency: 'EUR',
    paymentTimeMs,
    kind: 'chargeback',
  }
  return sent('fraud.reported', id, appendMs, appendMs, customer, data)
}

export function profile(id: string, appendMs: number, customer = 'c1'): Sent {
  const data = { homeCountry: 'DE', segment: 'private', customerSinceMs: 0 }
  return sent('customer.profile_changed', id, appendMs, appendMs, customer, data)
}

/** {@link runWith} the shipped definitions. */
export function run(
  sentEvents: readonly Sent[],
  model: Scorer = scorer,
  shadows: readonly Scorer[] = [],
): Promise<LogContent> {
  return runWith(
    { plan, catalog, manifest },
    new Map([['payment.initiated', { champion: model, shadows }]]),
    sentEvents,
  )
}

/** A store that holds these states, and whose positions are what was committed; `all` of them are compared. */
export function statesOf({ states }: Pick<LogContent, 'states'>, positions: ReadonlyMap<number, number>) {
  const store = {
    load: (keys: readonly EntityKey[]) =>
      Promise.resolve(keys.map(({ entity, id }) => states.get(`${entity}/${id}`) ?? null)),
    positions: () => Promise.resolve(positions),
  }
  return { store, plan, sample: { perEntity: Infinity, seed: 1 } }
}

/**
 * Writes both topics through the materializer, in files of at most `rowsPerFile` rows; what is there already is left.
 */
export async function write(
  lake: Lake,
  content: Pick<LogContent, 'events' | 'scores'>,
  rowsPerFile = 20,
  own = schema,
  types = catalog,
): Promise<void> {
  const m = await materializer(lake, { schema: own, catalog: types })
  for (const topic of [topics.events, topics.scores]) {
    const all = topic === topics.events ? content.events : content.scores
    for (const partition of new Set(all.map((record) => record.partition))) {
      const assignment = claimOf(topic, partition)
      await m.assigned(assignment)
      const records = all.filter((record) => record.partition === partition)
      for (let i = 0; i < records.length; i += rowsPerFile) {
        await m.batch(assignment, batchOf(records.slice(i, i + rowsPerFile)))
        await m.flush()
      }
    }
  }
  await m.stop()
  await m.writer.close()
}

export function verify(lake: Lake, change: Partial<VerifyOptions> = {}) {
  return verifyLake({
    lake,
    openQuery: (setup) => openQuery({ threads: 1, memoryMb: 512, tempDir: lake.dir, tempMb: 1_024, setup }),
    schema,
    topics,
    sql: createFeatureSql(riverbank),
    scorers: [scorer],
    positions: null,
    states: null,
    fast: false,
    clock: { nowMs: () => performance.now() },
    ...change,
  })
}

/** What a log would say that holds exactly this, all of it processed. */
export function positionsOf({ events, scores }: Pick<LogContent, 'events' | 'scores'>) {
  const ends = new Map<string, number>()
  const committed = new Map<number, number>()
  for (const { topic, partition, offset } of [...events, ...scores]) ends.set(`${topic}/${partition}`, offset + 1)
  for (const { partition, offset } of events) committed.set(partition, offset + 1)
  return { ends, committed, dense: true }
}

/** Changes the JSON of one record. */
export function edit(records: LogRecord[], index: number, change: (event: Editable) => void): void {
  const record = records[index]
  if (record === undefined) throw new Error(`no record ${index}`)
  const event = JSON.parse(new TextDecoder().decode(record.value)) as Editable
  change(event)
  records[index] = { ...record, value: new TextEncoder().encode(JSON.stringify(event)) }
}

export interface Editable {
  id: string
  type: string
  data: {
    features: Record<string, number | null>
    entities: Record<string, { id: string; sequence: number; incarnation: number; outcome: string }>
    score: number
    decision: string
    paymentTimeMs: number
    position: { offset: number }
  }
}

export function read(record: LogRecord): Editable {
  return JSON.parse(new TextDecoder().decode(record.value)) as Editable
}

const hour = 3_600_000
const dayMs = 24 * hour

/** mulberry32: a small generator with a seed that a failing test can print. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/**
 * Three customers in two partitions who share two terminals: payments in and out of order, some hours late and some
 * beyond the horizon, labels a week later, client retries (in one second and a day later), profiles, and poison.
 */
export function story(seed: number, count = 120): Sent[] {
  const next = random(seed)
  const pick = <Value>(values: readonly Value[]) => values[Math.floor(next() * values.length)] as Value
  const sentEvents: Sent[] = []
  const reports: { dueMs: number; event: Sent }[] = []
  for (let i = 0; i < count; i += 1) {
    const nowMs = day + i * 9 * hour + Math.floor(next() * hour)
    const who = {
      customer: pick(['c1', 'c2', 'c3']),
      terminal: pick(['t1', 't2']),
      amount: Math.floor(next() * 50_000),
    }
    const late = pick([0, 0, 0, 0, 2 * hour, 3 * dayMs, 60 * dayMs])
    const timeMs = nowMs - late
    sentEvents.push(pay(`p${i}`, timeMs, nowMs, who))
    if (next() < 0.4) {
      const dueMs = nowMs + 7 * dayMs
      reports.push({ dueMs, event: report(`f${i}`, `p${i}`, timeMs, dueMs, who) })
    }
    if (next() < 0.15) sentEvents.push(pay(`p${i}`, timeMs, nowMs + 1_000, who))
    if (next() < 0.1) sentEvents.push(profile(`c${i}`, nowMs + 2_000, who.customer))
    if (next() < 0.1) sentEvents.push({ partition: pick([0, 1]), text: '{"id":1', appendTimeMs: nowMs + 3_000 })
    for (const { event } of reports.filter(({ dueMs }) => dueMs <= nowMs + hour)) sentEvents.push(event)
    for (let r = reports.length - 1; r >= 0; r -= 1) if ((reports[r]?.dueMs ?? 0) <= nowMs + hour) reports.splice(r, 1)
  }
  return sentEvents.sort((a, b) => a.appendTimeMs - b.appendTimeMs)
}
