import { readFileSync } from 'node:fs'
import { riverbank } from '../../../features/index.ts'
import * as sources from '../../../features/sources.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { RiverbankError } from '../../../src/base/errors.ts'
import { paymentScored, type PaymentScored } from '../../support/payment-scores.ts'
import type { Decision } from '../../../src/scoring/output-events.ts'
import type { FoundScore } from '../../../src/serve/scores/score-entry.ts'
import type { Identity } from '../../../src/serve/scores/identity-index.ts'
import { encodeEvent, type EventCatalog } from '../../../src/events/event.ts'
import type { FeatureSetManifest } from '../../../src/engine/feature-set.ts'
import { pinoLogger } from '../../../src/edges/pino/logger.ts'
import { prometheusMeter } from '../../../src/edges/prometheus/meter.ts'
import type { LogBatch, LogRecord, OutgoingRecord, PartitionRange, Position } from '../../../src/ports/log.ts'
import type { SqlResult } from '../../../src/ports/sql.ts'
import { createApp } from '../../../src/serve/http/app.ts'
import type { ServeDependencies } from '../../../src/serve/http/dependencies.ts'
import { EventLedger } from '../../../src/serve/events/event-ledger.ts'
import type { EntityFeatures } from '../../../src/serve/features/feature-reader.ts'
import { createFeatureReader } from '../../../src/serve/features/state-reader.ts'
import { serveLimits } from '../../../src/serve/http/limits.ts'
import { ScoreHub, scoreHubLimits, type ScoreHubOptions } from '../../../src/serve/scores/score-hub.ts'

export const nowMs = Date.parse('2026-03-01T12:00:00Z')

export const featureSet = JSON.parse(
  readFileSync(new URL('../../../features/compiled/feature-set.json', import.meta.url), 'utf8'),
) as FeatureSetManifest

/** The names of an entity's features, in the order in which a reader answers them. */
export const featuresOf = (entity: string): string[] =>
  featureSet.features.filter((feature) => feature.entity === entity).map(({ name }) => name)

/** Values as a reader answers them; null where none is given. */
export const valuesOf = (entity: string, given: Readonly<Record<string, number | null>>): (number | null)[] =>
  featuresOf(entity).map((name) => given[name] ?? null)

export const catalog: EventCatalog = new Map(
  [sources.paymentInitiated, sources.fraudReported, sources.customerProfileChanged].map((type) => [type.type, type]),
)

/** Of whom nobody has seen anything. */
const emptyStates = createFeatureReader(
  { load: async (keys) => keys.map(() => null), layouts: async () => new Map() },
  compilePlan(riverbank),
  { nowMs: () => nowMs },
)

/** A log that answers the next offset of one partition, or fails with `failure`. */
export class MemoryLog {
  readonly records: OutgoingRecord[] = []
  failure: RiverbankError | null = null
  /** Called when the records are in the log. */
  onAppend: (records: readonly OutgoingRecord[], positions: readonly Position[]) => void = () => undefined
  /** Called after the records are in the log, before they are acknowledged. */
  onPublish: (records: readonly OutgoingRecord[]) => Promise<void> | void = () => undefined

  /** Where the partitions of the scores topic end. */
  ends = new Map([[0, 0]])

  async describeTopic(topic: string): Promise<readonly PartitionRange[] | null> {
    if (this.failure !== null) throw this.failure
    if (topic !== 'payments.scores') return null
    return [...this.ends].map(([partition, end]) => ({ partition, start: 0, end }))
  }

  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    if (this.failure !== null) throw this.failure
    const positions = records.map((_, index) => ({ partition: 0, offset: this.records.length + index }))
    this.records.push(...records)
    this.onAppend(records, positions)
    await this.onPublish(records)
    return positions
  }
}

export interface Fixture {
  readonly app: ReturnType<typeof createApp>
  readonly deps: ServeDependencies
  readonly log: MemoryLog
  readonly hub: ScoreHub
  readonly ledger: EventLedger
  readonly lines: () => Record<string, unknown>[]
}

export interface FixtureOptions {
  readonly deps?: Partial<ServeDependencies>
  readonly hub?: Partial<ScoreHubOptions>
  readonly entities?: Readonly<Record<string, EntityFeatures>>
  readonly known?: ReadonlySet<string>
  readonly run?: (sql: string, signal: AbortSignal | undefined) => Promise<SqlResult>
}

export function serveFixture(options: FixtureOptions = {}): Fixture {
  const meter = prometheusMeter({ processMetrics: false, constantLabels: {} })
  const text: string[] = []
  const logger = pinoLogger({ level: 'debug', fields: {}, to: { write: (line) => void text.push(line) } })
  const log = new MemoryLog()
  const hub = new ScoreHub({
    ...scoreHubLimits,
    types: new Set(['payment.scored']),
    capacity: 100,
    bytesMax: 2 ** 24,
    lagMax: 50,
    recent: { from: new Map([[0, 0]]), live: new Map([[0, 0]]) },
    meter,
    ...options.hub,
  })
  const scoreForms = new Map([['payment.initiated', paymentScored]])
  const ledger = new EventLedger({ catalog, scoredTypes: new Set(scoreForms.keys()), capacity: 1_000, live: new Map() })
  // As the tail of the events topic has it, at once.
  log.onAppend = (records, positions) => {
    for (const [i, { topic, value }] of records.entries()) {
      const { partition, offset } = positions[i]!
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
      const record = { topic, partition, offset, appendTimeMs: nowMs, key: null, value: bytes, headers: {} }
      ledger.accept({ topic, partition, records: [record], next: offset + 1, end: offset + 1 })
    }
  }
  const deps: ServeDependencies = {
    log,
    eventsTopic: 'payments.events',
    scoresTopic: 'payments.scores',
    catalog,
    scoreForms,
    knownEvents: {
      known: async (events: readonly Identity[]) => events.map(({ eventId }) => options.known?.has(eventId) === true),
    },
    features: {
      read: async (keys, atMs) => {
        const unseen = await emptyStates.read(keys, atMs)
        return keys.flatMap((key, i) => options.entities?.[`${key.entity}:${key.id}`] ?? unseen[i] ?? [])
      },
    },
    featureSet,
    project: { name: 'payments', scored: 'payments' },
    hub,
    spool: { find: async () => null, sharing: async () => [] },
    ledger,
    lake: { scores: async () => [], event: async () => null },
    explanations: async ({ name, version }) => {
      throw new RiverbankError('model_not_found', `no model ${name}/${version}`)
    },
    sql: {
      run: async (sql, at) => {
        if (options.run === undefined) throw new RiverbankError('sql_failed', 'no lake')
        return options.run(sql, at?.signal)
      },
    },
    models: {
      report: () => Promise.resolve({ partitions: 1, generations: [] }),
      change: () => Promise.reject(new RiverbankError('no_former_generation', 'no list')),
    },
    probes: [],
    clock: { nowMs: () => nowMs },
    meter,
    logger,
    apiKey: null,
    version: '0.0.0',
    limits: serveLimits,
    ...options.deps,
  }
  const lines = () => text.map((line) => JSON.parse(line) as Record<string, unknown>)
  return { app: createApp(deps), deps, log, hub, ledger, lines }
}

export function paymentEvent(eventId: string, changes: Readonly<Record<string, unknown>> = {}) {
  return {
    eventId,
    eventType: 'payment.initiated',
    timestamp: nowMs - 1000,
    aggregateId: 'c-1',
    aggregateType: 'customer',
    version: 2,
    data: { customerId: 'c-1', terminalId: 't-1', amountMinor: 1250, currency: 'EUR' },
    ...changes,
  }
}

export function cloudPayment(id: string, changes: Readonly<Record<string, unknown>> = {}) {
  return {
    specversion: '1.0',
    id,
    type: 'payment.initiated',
    source: 'urn:test',
    subject: 'c-1',
    time: new Date(nowMs - 1000).toISOString(),
    dataschema: 'urn:riverbank:payment.initiated:2',
    data: { customerId: 'c-1', terminalId: 't-1', amountMinor: 1250, currency: 'EUR' },
    ...changes,
  }
}

export function paymentScore(paymentId: string, changes: Partial<PaymentScored> = {}): PaymentScored {
  return {
    paymentId,
    customerId: 'c-1',
    terminalId: 't-1',
    amountMinor: 1250,
    currency: 'EUR',
    paymentTimeMs: nowMs - 1000,
    score: 0.5,
    decision: 'approve' satisfies Decision,
    model: { name: 'fraud', version: '1' },
    service: 'fraud_v1',
    featureSet: featureSet.hash,
    features: { amount: 12.5 },
    entities: {},
    position: { topic: 'payments.events', partition: 0, offset: 0 },
    ...changes,
  }
}

export function foundScore(data: PaymentScored): FoundScore {
  return { aggregateId: data.customerId, eventId: data.paymentId, data }
}

export function scoreRecord(score: PaymentScored, offset: number, partition = 0): LogRecord {
  const value = encodeEvent({
    eventId: `score:${score.paymentId}`,
    eventType: 'payment.scored',
    timestamp: nowMs,
    aggregateId: score.customerId,
    aggregateType: 'customer',
    version: 1,
    correlationId: score.paymentId,
    causationId: score.paymentId,
    data: score,
  })
  return rawRecord(value, offset, partition)
}

export function rawRecord(value: string, offset: number, partition = 0): LogRecord {
  return {
    topic: 'payments.scores',
    partition,
    offset,
    appendTimeMs: nowMs,
    key: 'c-1',
    value: new TextEncoder().encode(value),
    headers: {},
  }
}

export function batchOf(...records: readonly LogRecord[]): LogBatch {
  const last = records.at(-1)!
  const next = last.offset + 1
  return { topic: last.topic, partition: last.partition, records, next, end: next }
}

export function postJson(body: unknown, contentType = 'application/json', headers: Record<string, string> = {}) {
  return {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': contentType, ...headers },
  }
}

/** The body, after a check that it is a problem of this code and that status and type agree with it. */
export async function problemOf(response: Response, code: string): Promise<Record<string, unknown>> {
  const body = (await response.json()) as Record<string, unknown>
  const seen = { code: body['code'], type: body['type'], status: body['status'] }
  const expected = { code, type: `urn:riverbank:problem:${code}`, status: response.status }
  if (JSON.stringify(seen) !== JSON.stringify(expected)) {
    throw new Error(`expected problem ${code}, got HTTP ${response.status} ${JSON.stringify(body)}`)
  }
  const contentType = response.headers.get('content-type')
  if (contentType !== 'application/problem+json') throw new Error(`a problem came as ${contentType}`)
  if ('stack' in body || JSON.stringify(body).includes('.ts:')) throw new Error('a stack trace leaked')
  return body
}

/** What came of each event of a request. */
interface Result {
  readonly eventId: string
  readonly status: string
  readonly partition?: number
  readonly offset?: number
  readonly problem?: { readonly code: string; readonly status: number }
  readonly repeated?: true
  readonly score?: { readonly paymentId: string }
}

export async function resultsOf(response: Response): Promise<Result[]> {
  return ((await response.json()) as { results: Result[] }).results
}
