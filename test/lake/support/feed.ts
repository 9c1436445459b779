import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { customerProfileChanged, fraudReported, paymentInitiated } from '../../../features/sources.ts'
import type { EventCatalog, EventType } from '../../../src/events/event.ts'
import type { FeatureSetManifest } from '../../../src/engine/feature-set.ts'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'
import { scoredOfType } from '../../../src/lake/tables/lake-schema.ts'
import { lakeSchema } from '../../../src/lake/tables/derive-lake-schema.ts'
import { createMaterializer } from '../../../src/lake/materialize/materializer.ts'
import type { MaterializerOptions } from '../../../src/lake/materialize/materializer.ts'
import type { Lake } from '../../../src/lake/commit/lake.ts'
import type { PartitionAssignment, LogBatch, LogRecord } from '../../../src/ports/log.ts'
import type { Logger, Meter } from '../../../src/ports/telemetry.ts'

export const topics = { events: 'payments.events', scores: 'payments.scores' } as const

const sources: readonly EventType[] = [paymentInitiated, fraudReported, customerProfileChanged]
export const catalog: EventCatalog = new Map(sources.map((source) => [source.type, source]))

const feature = (name: string, type: 'integer' | 'double') => ({
  name,
  type,
  nullable: true,
  entity: 'customer',
  view: 'v',
  description: '',
  definition: null,
})

export const manifest: FeatureSetManifest = {
  format: 3,
  hash: 'a'.repeat(64),
  events: [],
  entities: [
    { name: 'customer', keyFields: ['customerId'], partitionKey: true, horizonMs: 1, tilesMax: 1 },
    { name: 'terminal', keyFields: ['terminalId'], partitionKey: false, horizonMs: 1, tilesMax: 1 },
    { name: 'customer_terminal', keyFields: ['customerTerminalId'], partitionKey: false, horizonMs: 1, tilesMax: 1 },
  ],
  features: [feature('spend__count_7d', 'integer'), feature('spend__mean_7d', 'double')],
  services: [
    {
      name: 'fraud',
      eventType: 'payment.initiated',
      hash: 'b'.repeat(64),
      features: ['spend__count_7d', 'spend__mean_7d'],
    },
  ],
}

export const schemaOf = (own: FeatureSetManifest) => lakeSchema({ catalog, manifest: own })
export const schema = schemaOf(manifest)
export const ofPayments = scoredOfType(schema, 'payment.initiated')

export const meter: Meter = {
  counter: () => ({ add: () => undefined }),
  gauge: () => ({ set: () => undefined, clear: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
  expose: () => Promise.resolve({ contentType: '', body: '' }),
}

export interface LogLine {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function recordingLogger(lines: LogLine[]): Logger {
  const log = (message: string, fields = {}) => void lines.push({ message, fields })
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger }
  return logger
}

export const day = Date.UTC(2026, 2, 1)

export function tempFolder(): { readonly dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'riverbank-lake-'))
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export const writerOptions = { threads: 1, memoryMb: 512, rowGroupRows: 100_000 } as const

export async function materializer(lake: Lake, change: Partial<MaterializerOptions> = {}) {
  const writer = await openTableWriter(writerOptions)
  const lines: LogLine[] = []
  const created = createMaterializer({
    lake,
    writer,
    topics,
    catalog,
    schema,
    flushRows: 1_000_000,
    flushMs: 600_000,
    bufferBytes: 1 << 28,
    orphanGraceMs: 0,
    stallMs: 60_000,
    storeMetadata: null,
    clock: { nowMs: () => Date.now() },
    meter,
    logger: recordingLogger(lines),
    ...change,
  })
  return Object.assign(created, { lines, writer })
}

export interface TestClaim extends PartitionAssignment {
  readonly commits: number[]
  readonly abort: AbortController
  /** Set to reject the next commits. */
  refuse: Error | null
}

export function claimOf(topic: string, partition: number, end = 1_000_000): TestClaim {
  const abort = new AbortController()
  const commits: number[] = []
  return {
    topic,
    partition,
    committed: null,
    range: { partition, start: 0, end },
    signal: abort.signal,
    abort,
    commits,
    refuse: null,
    commit(next) {
      if (this.refuse !== null) return Promise.reject(this.refuse)
      commits.push(next)
      return Promise.resolve()
    },
  }
}

export function batchOf(records: readonly LogRecord[], next?: number): LogBatch {
  const first = records[0] as LogRecord
  const last = records.at(-1) as LogRecord
  return { topic: first.topic, partition: first.partition, records, next: next ?? last.offset + 1, end: 1_000_000 }
}

export function record(topic: string, offset: number, value: string | Uint8Array, change: Partial<LogRecord> = {}) {
  return {
    topic,
    partition: 0,
    offset,
    appendTimeMs: day + offset,
    key: 'c1',
    value: typeof value === 'string' ? new TextEncoder().encode(value) : value,
    headers: {},
    ...change,
  } satisfies LogRecord
}

function envelope(id: string, type: string, version: number, timeMs: number, data: unknown, cause?: string): string {
  return JSON.stringify({
    specversion: '1.0',
    id,
    type,
    source: 'urn:test',
    subject: (data as { customerId?: string }).customerId ?? 'c1',
    time: new Date(timeMs).toISOString(),
    dataschema: `urn:riverbank:${type}:${version}`,
    datacontenttype: 'application/json',
    ...(cause === undefined ? {} : { causationid: cause }),
    data,
  })
}

const spent = { customerId: 'c1', terminalId: 't1', amountMinor: 1234, currency: 'EUR' }

export function payment(id: string, timeMs: number, change: object = {}): string {
  const data = { ...spent, ...change }
  return envelope(id, 'payment.initiated', 2, timeMs, data)
}

export function fraud(id: string, paymentId: string, timeMs: number, paymentTimeMs: number, more = {}): string {
  const data = { ...spent, paymentId, paymentTimeMs, ...more }
  return envelope(id, 'fraud.reported', 1, timeMs, { ...data, kind: 'chargeback' })
}

const at = { topic: topics.events, partition: 0 }

export function score(id: string, paymentId: string, timeMs: number, features: string, offset = 0): string {
  const position = (name: string) => ({ id: name, sequence: 7, incarnation: 1, outcome: 'applied' })
  const data = {
    ...spent,
    paymentId,
    paymentTimeMs: timeMs,
    score: 0.25,
    decision: 'approve',
    model: { name: 'm', version: '1' },
    service: 'fraud',
    featureSet: manifest.hash,
    features: {},
    entities: { customer: position('c1'), terminal: position('t1'), customer_terminal: position('c1|t1') },
    position: { ...at, offset },
  }
  // JSON.stringify writes -0 as 0: the features are given as text.
  const text = envelope(id, 'payment.scored', 1, timeMs, data, paymentId)
  return text.replace('"features":{}', () => `"features":${features}`)
}

export function observed(id: string, observedId: string, offset: number, outcome = 'too_late', sequence = 9): string {
  const entities = { customer: { id: 'c1', sequence, incarnation: 1, outcome } }
  const data = { observedId, observedType: 'fraud.reported', entities, featureSet: 'x', position: { ...at, offset } }
  return envelope(id, 'event.observed', 1, day, data, observedId)
}
