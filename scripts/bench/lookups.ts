import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quantile, type Metric } from './measurement.ts'
import { chance } from '../models/random-trees.ts'
import { eachRound, sized, type Run } from './run.ts'
import { paymentInitiated } from '../../features/sources.ts'
import { readConfig } from '../../src/app/installation/settings/config.ts'
import { definitions } from '../../src/app/installation/settings/definitions.ts'
import { lakeLookupDefaults, openLakeLookup } from '../../src/app/roles/score-lookup.ts'
import { assert } from '../../src/base/errors.ts'
import { encodeEvent } from '../../src/events/event.ts'
import { pinoLogger } from '../../src/edges/pino/logger.ts'
import { prometheusMeter } from '../../src/edges/prometheus/meter.ts'
import { idListOf, writeIdList, type IdRow } from '../../src/lake/files/id-list.ts'
import { IdLists } from '../../src/lake/files/id-lists.ts'
import { openLake } from '../../src/lake/commit/lake.ts'
import type { LogRecord } from '../../src/ports/log.ts'
import { EventLedger } from '../../src/serve/events/event-ledger.ts'
import { readScore, ScoreEntry } from '../../src/serve/scores/score-entry.ts'
import { findScoreById } from '../../src/serve/scores/score-lookup.ts'
import { ScoreHub, scoreHubLimits } from '../../src/serve/scores/score-hub.ts'
import { ScoreSpool } from '../../src/serve/scores/score-spool.ts'

/** A process holds so many of the newest scores by default; their features here are as large as ours. */
const fullScores = 1_000_000
const batch = 500
const rowsOfFileMax = 50_000
const timeMs = Date.UTC(2026, 0, 1)
const fullLookUps = 5_000
const goal = { kind: 'below', value: 5 } as const

/** Measures look-ups by event id among a million scores on this machine's disk, as a serve process does them. */
export async function benchLookups(run: Run): Promise<void> {
  const scores = sized(run, fullScores, 2_000)
  const lookUps = sized(run, fullLookUps, 100)
  const dir = await mkdtemp(join(tmpdir(), 'riverbank-bench-lookups-'))
  const logger = pinoLogger({ level: 'error', fields: {}, to: process.stderr })
  const meter = prometheusMeter({ processMetrics: false, constantLabels: {} })
  const { catalog, lakeSchema: schema, scoreForms } = definitions(readConfig({}))
  const limits = { capacity: scores, bytesMax: 2 ** 40, segmentBytes: 2 ** 26 }
  const spool = new ScoreSpool({ dir: join(dir, 'serve'), ...limits, meter, logger })
  const ledger = new EventLedger({
    catalog,
    scoredTypes: new Set(scoreForms.keys()),
    capacity: scores,
    live: new Map(),
  })
  const recent = { from: new Map<number, number>(), live: new Map<number, number>() }
  const hub = new ScoreHub({
    ...scoreHubLimits,
    types,
    capacity: 20_000,
    bytesMax: 2 ** 27,
    lagMax: 1_000,
    recent,
    meter,
  })
  const files = await listedLake(dir, scores)
  const lists = new IdLists({ lake: files, bytesMax: 2 ** 26, maxAgeMs: 500, nowMs: () => performance.now() })
  const lake = openLakeLookup({ ...lakeLookupDefaults, lake: files, schema, catalog, listBytesMax: 2 ** 26 })
  try {
    run.say(`lookups: writing ${scores} scores`)
    const before = process.memoryUsage.rss()
    for (let n = 0; n < scores && !run.signal.aborted; n += batch) await spool.add(entriesFrom(n))
    const random = chance(1)
    const kinds = {
      found: () => `p-${Math.floor(random() * scores)}`,
      // The hash of one id in 4,000 is in the list by chance, and would cost a query of a file that is not here.
      unknown: async () => {
        for (;;) {
          const eventId = `x-${Math.floor(random() * 2 ** 40)}`
          if ((await lists.candidates('scores', eventId, null)).length === 0) return eventId
        }
      },
    }
    await eachRound(run, 'lookups', async () => {
      for (const [kind, id] of Object.entries(kinds)) {
        const cpu = process.cpuUsage()
        const times = await measured(lookUps, async () => {
          const eventId = await id()
          const startedMs = performance.now()
          const answer = await findScoreById(eventId, { hub, spool, ledger, lake })
          assert(answer.kind === kind, `${eventId} is ${answer.kind}, not ${kind}`)
          return performance.now() - startedMs
        })
        const { user, system } = process.cpuUsage(cpu)
        const metric = (name: string, unit: string): Metric => ({
          ...{ benchmark: 'lookups', driver: null, name: `${kind}, ${name}`, unit },
        })
        run.record(metric('p50', 'ms'), quantile(times, 0.5))
        run.record({ ...metric('p99', 'ms'), goal }, quantile(times, 0.99))
        run.record(metric('processor time', 'µs/look-up'), (user + system) / lookUps)
      }
      const growth = process.memoryUsage.rss() - before
      run.record({ benchmark: 'lookups', driver: null, name: 'memory', unit: 'bytes/score' }, growth / scores)
    })
  } finally {
    await Promise.all([spool.close(), lake.close()])
    await rm(dir, { recursive: true })
  }
}

/** A lake that has all of them too: look-ups read its lists for every id, its files for none. */
async function listedLake(dir: string, scores: number) {
  const lake = await openLake({ dir: join(dir, 'lake') })
  const rowsOfFile = Math.min(rowsOfFileMax, scores)
  const added = []
  for (let first = 0; first < scores; first += rowsOfFile) {
    const path = `scores/dt=2026-01-01/s-0-${first}-${first + rowsOfFile - 1}.00000000.parquet`
    const rows = Array.from({ length: rowsOfFile }, (_, i): IdRow => [customerOf(first + i), `p-${first + i}`])
    await writeIdList(lake.dir, path, idListOf(rows))
    added.push({
      ...{ path, table: 'scores' as const, topic: 's', partition: 0, firstOffset: first, rows: rowsOfFile, bytes: 1 },
      ...{ lastOffset: first + rowsOfFile - 1, sha256: '0'.repeat(64), schemaId: 's' },
      ...{ minEventTimeMs: null, maxEventTimeMs: null },
    })
  }
  await lake.log.commit({ added })
  return lake
}

const types = new Set([paymentInitiated.scored?.emits ?? ''])

function customerOf(n: number): string {
  return `c-${n % 5_000}`
}

function entriesFrom(first: number): ScoreEntry[] {
  return Array.from({ length: batch }, (_, i) => {
    const entry = readScore(recordOf(first + i), types)
    assert(entry instanceof ScoreEntry, 'a score is read as one')
    return entry
  })
}

const features = Object.fromEntries(
  definitions(readConfig({})).manifest.features.map(({ name }, i) => [name, i * 1.2345678]),
)

function recordOf(n: number): LogRecord {
  const [paymentId, customerId] = [`p-${n}`, customerOf(n)]
  const data = {
    ...{ paymentId, customerId, terminalId: 't-1', amountMinor: n, currency: 'EUR', paymentTimeMs: timeMs, score: 0.5 },
    ...{ decision: 'approve', model: { name: 'fraud', version: '2' }, service: 'fraud', featureSet: 'x'.repeat(64) },
    ...{ features, entities: {}, position: { topic: 'e', partition: 0, offset: n } },
  }
  const names = { eventId: `${paymentId}:scored`, eventType: 'payment.scored', aggregateId: customerId, version: 1 }
  const cause = { correlationId: paymentId, causationId: paymentId, timestamp: timeMs }
  const value = Buffer.from(encodeEvent({ ...names, ...cause, aggregateType: 'customer', data }))
  return { topic: 's', partition: 0, offset: n, appendTimeMs: timeMs, key: customerId, value, headers: {} }
}

/** Runs look-ups one after the other; answers the milliseconds of each. */
async function measured(lookUps: number, lookUp: () => Promise<number>): Promise<number[]> {
  const times: number[] = []
  while (times.length < lookUps) times.push(await lookUp())
  return times
}
