import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { names, readConfig, type Config } from '../../src/app/installation/settings/config.ts'
import { definitions } from '../../src/app/installation/settings/definitions.ts'
import { openEventLog } from '../../src/app/installation/servers/event-log.ts'
import { withLakeQuery } from '../../src/app/installation/lake/lake-query.ts'
import { createTopics } from '../../src/app/installation/servers/topics.ts'
import { encodeEvent } from '../../src/events/event.ts'
import { deadLetterSchema } from '../../src/scoring/output-events.ts'
import { openLake } from '../../src/lake/commit/lake.ts'
import type { EventLog, LogRecord, OutgoingRecord } from '../../src/ports/log.ts'
import { startProgram } from './support/program.ts'
import { built } from '../support/built.ts'
import { kafkaMissing, startTestKafka, type TestKafka } from '../support/kafka-broker.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { poison } from '../app/support/poison.ts'

const timeoutMs = 300_000
const deathsMax = 8
const poisonedOffset = 12
const sessionTimeoutMs = 2_000

function event(id: string, type: string, customerId: string, data: object): string {
  return encodeEvent({
    eventId: id,
    eventType: type,
    timestamp: Date.now(),
    aggregateId: customerId,
    aggregateType: 'customer',
    version: type === 'payment.initiated' ? 2 : 1,
    data: { customerId, ...data },
    metadata: { source: 'urn:test' },
  })
}

/**
 * Payments, and among them one record of its own type and customer. Spaces: the general way of reading knows it, too.
 */
const texts = Array.from({ length: 25 }, (_, i) => {
  if (i !== poisonedOffset) {
    const data = { terminalId: 't1', amountMinor: 100 + i, currency: 'EUR' }
    return event(`p${i}`, 'payment.initiated', `c${i % 5}`, data)
  }
  const data = { homeCountry: 'DE', segment: 'private', customerSinceMs: 0 }
  return ` ${event(poison.eventId, poison.eventType, poison.customerId, data)}`
})

interface Installation {
  readonly config: Config
  readonly log: EventLog
  /** Starts the role again whenever it ends, until this holds; answers how often it ended. */
  deaths(role: 'process' | 'materialize', harm: string, isDone: () => Promise<boolean>): Promise<readonly string[]>
}

let redis: TestRedis
let kafka: TestKafka | null = null
let installations = 0

async function install(driver: 'redis' | 'kafka'): Promise<Installation> {
  const dir = mkdtempSync(join(tmpdir(), 'riverbank-isolation-'))
  const settings = {
    RIVERBANK_LOG: driver,
    RIVERBANK_NAMESPACE: `isolation-${(installations += 1)}`,
    RIVERBANK_DATA_DIR: dir,
    RIVERBANK_PARTITIONS: '1',
    RIVERBANK_STALL_MS: '1500',
    RIVERBANK_DRAIN_MS: '2000',
    RIVERBANK_LAKE_FLUSH_MS: '300',
    RIVERBANK_LAKE_COMPACT_MS: '0',
    RIVERBANK_MONITOR_MS: '0',
    REDIS_URL: redis.url,
    ...(kafka === null ? {} : { KAFKA_BROKERS: kafka.brokers }),
  }
  const config = readConfig(settings)
  const log = await openEventLog(config)
  onTestFinished(async () => {
    await log.close()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  await createTopics(config, log)
  const { topics } = names(config)
  await log.publish(texts.map((value): OutgoingRecord => ({ topic: topics.events, key: 'one', partition: 0, value })))
  const program = built('test/app/support/spoiled-role.ts')
  return {
    config,
    log,
    async deaths(role, harm, isDone) {
      const ends: string[] = []
      for (;;) {
        const one = startProgram([program, role, harm, String(sessionTimeoutMs)], settings)
        onTestFinished(() => void one.child.kill('SIGKILL'))
        const done = eventually(isDone, { deadlineMs: timeoutMs, everyMs: 50 }).then(() => null)
        const ended = await Promise.race([one.ended, done])
        if (ended === null) {
          one.child.kill('SIGTERM')
          await one.ended
          return ends
        }
        done.catch(() => undefined)
        ends.push(/"code":"(\w+_stalled)"/.exec(ended.stderr)?.[1] ?? ended.signal ?? `exit ${ended.code}`)
        expect(ends.length, ended.stderr.slice(-2_000)).toBeLessThan(deathsMax)
      }
    },
  }
}

/** Every record of a topic. */
async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const [range] = (await log.describeTopic(topic)) ?? []
  const found: LogRecord[] = []
  const tail = await log.tail({ topic, from: new Map(), maxRecords: 100, maxWaitMs: 20 }, (batch) => {
    found.push(...batch.records)
    return Promise.resolve()
  })
  await eventually(() => found.length >= (range?.end ?? 0), { deadlineMs: 60_000 })
  await tail.stop()
  return found
}

/** Ends as one dead letter, and every payment is scored. */
async function processes({ config, log, deaths }: Installation, harm: string): Promise<readonly string[]> {
  const { topics, groups } = names(config)
  const ends = await deaths('process', harm, async () => {
    return (await log.committed(groups.process, topics.events)).get(0) === texts.length
  })
  const letters = await readAll(log, topics.deadLetters)
  const told = letters.map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as { data: unknown })
  const [letter, ...others] = told.map(({ data }) => deadLetterSchema.parse(data))
  expect(others).toEqual([])
  expect(letter).toMatchObject({ code: 'processing_crashed', position: { offset: poisonedOffset } })
  expect(Buffer.from(letter?.value ?? '', 'base64').toString()).toBe(texts[poisonedOffset])
  expect(await readAll(log, topics.scores)).toHaveLength(texts.length - 1)
  return ends
}

/** Ends as a row of its bytes, and every other one is an event of the lake. */
async function materializes({ config, deaths }: Installation, harm: string): Promise<readonly string[]> {
  const { topics } = names(config)
  const lake = await openLake({ dir: join(config.DATA_DIR, 'lake') })
  const ends = await deaths('materialize', harm, async () => (await lake.covered(topics.events, 0)) === texts.length)
  const rows = await withLakeQuery(config, definitions(config), (query) =>
    query.rows('SELECT log_offset, event_id, valid, error_code, raw, body FROM events ORDER BY log_offset'),
  )
  expect(rows.map((row) => Number(row['log_offset']))).toEqual([...texts.keys()])
  for (const [offset, row] of rows.entries()) {
    if (offset === poisonedOffset) {
      expect(row).toMatchObject({ event_id: null, valid: false, error_code: 'processing_crashed', body: null })
      expect(Buffer.from(row['raw'] as unknown as Uint8Array).toString()).toBe(texts[offset])
    } else expect(row).toMatchObject({ event_id: `p${offset}`, valid: true, error_code: null, body: texts[offset] })
  }
  return ends
}

describe.skipIf(redisAvailable() !== null)('I6, log: redis', () => {
  beforeAll(async () => void (redis = await startTestRedis()))
  afterAll(() => redis.stop())

  test('a record at which the processor loops for good ends as a dead letter', { timeout: timeoutMs }, async () => {
    const ends = await processes(await install('redis'), 'load loop')
    expect(new Set(ends)).toEqual(new Set(['loop_stalled']))
  })

  test('a record at which the processor waits for good ends as a dead letter', { timeout: timeoutMs }, async () => {
    const ends = await processes(await install('redis'), 'load never')
    expect(new Set(ends)).toEqual(new Set(['handler_stalled']))
  })

  test.each([
    ['kills the materializer that reads it', 'read kill', 'SIGKILL'],
    ['kills the materializer that writes it', 'write kill', 'SIGKILL'],
    ['the materializer reads without an end', 'read loop', 'loop_stalled'],
    ['the materializer writes without an end', 'write never', 'handler_stalled'],
  ])('a record that %s is in the lake as its bytes', { timeout: timeoutMs }, async (_, harm, end) => {
    const ends = await materializes(await install('redis'), harm)
    expect(new Set(ends)).toEqual(new Set([end]))
  })
})

describe.skipIf(redisAvailable() !== null || kafkaMissing() !== null)('I6, log: kafka', () => {
  beforeAll(async () => {
    redis = await startTestRedis()
    kafka = await startTestKafka()
  }, timeoutMs)
  afterAll(async () => {
    await redis.stop()
    await kafka?.remove()
  })

  test('a record at which the processor loops for good ends as a dead letter', { timeout: timeoutMs }, async () => {
    await processes(await install('kafka'), 'load loop')
  })

  test('a record that kills the materializer is in the lake as its bytes', { timeout: timeoutMs }, async () => {
    await materializes(await install('kafka'), 'read kill')
  })
})
