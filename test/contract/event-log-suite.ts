import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/events/partitioner.ts'
import type { EventLog, LogRecord, OutgoingRecord, TailOptions, TopicSpec } from '../../src/ports/log.ts'
import { eventually } from '../support/wait.ts'
import { eventLogExactCases } from './event-log-exact-suite.ts'
import { eventLogGroupCases } from './event-log-group-suite.ts'
import { eventLogStopCases } from './event-log-stop-suite.ts'
import { codeOf, text } from './log-probe.ts'

/** One server with the means to hurt it. All clients that `open` gives are independent of each other. */
export interface EventLogFixture {
  open(): Promise<EventLog>
  /** Ends the server's process and starts it on the same data; resolves when it answers again. */
  restartServer(): Promise<void>
  /** Retention's edge: moves the log start of a partition to `beforeOffset`. */
  truncate(topic: string, partition: number, beforeOffset: number): Promise<void>
  cleanup(): Promise<void>
  /** The shortest one the server takes. */
  readonly sessionTimeoutMs: number
  /** How long anything may take: a few session timeouts. */
  readonly deadlineMs: number
}

/** What a case gets: clients are closed after it, topic names are its own. */
export interface LogCase {
  readonly fixture: () => EventLogFixture
  readonly open: () => Promise<EventLog>
  /** Creates a topic with a name of its own. */
  readonly topic: (log: EventLog, spec?: Partial<TopicSpec>) => Promise<string>
  /** Every record of the topic, ordered within its partition, once there are `count` of them. */
  readonly readAll: (log: EventLog, topic: string, count: number) => Promise<LogRecord[]>
}

/**
 * The contract of {@link EventLog}, as cases to run on a real server. `skip` is the reason why this machine cannot, or
 * null.
 */
export function eventLogContract(name: string, makeFixture: () => Promise<EventLogFixture>, skip: string | null): void {
  describe.skipIf(skip !== null)(`event log: ${name}`, () => {
    let fixture: EventLogFixture
    const opened: EventLog[] = []
    beforeAll(async () => {
      fixture = await makeFixture()
    }, 120_000)
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((log) => log.close()))
    }, 60_000)
    afterAll(async () => {
      await fixture.cleanup()
    }, 60_000)

    const open = async (): Promise<EventLog> => {
      const log = await fixture.open()
      opened.push(log)
      return log
    }
    const topic = async (log: EventLog, spec: Partial<TopicSpec> = {}): Promise<string> => {
      const full = { ...plainTopic(), ...spec }
      await log.createTopic(full)
      return full.topic
    }
    const readAll = async (log: EventLog, name: string, count: number): Promise<LogRecord[]> => {
      const found: LogRecord[] = []
      const tail = await log.tail(tailOptions(name), (batch) => {
        found.push(...batch.records)
        return Promise.resolve()
      })
      await eventually(() => found.length >= count, { deadlineMs: fixture.deadlineMs, what: `${count} records` })
      await tail.stop()
      return found
    }
    const logCase: LogCase = { fixture: () => fixture, open, topic, readAll }
    topicCases(logCase)
    publishCases(logCase)
    eventLogExactCases(logCase)
    tailCases(logCase)
    eventLogGroupCases(logCase)
    eventLogStopCases(logCase)
  })
}

export function plainTopic(): TopicSpec {
  return {
    topic: `t-${randomUUID().slice(0, 8)}`,
    partitions: 3,
    replicationFactor: 1,
    retentionMs: 3_600_000,
    retentionBytes: 64 * 1024 * 1024,
    maxRecordBytes: 100_000,
  }
}

function tailOptions(topic: string, from: TailOptions['from'] = new Map()): TailOptions {
  return { topic, from, maxRecords: 100, maxWaitMs: 20 }
}

function numbered(topic: string, key: string, count: number, from = 0): OutgoingRecord[] {
  return Array.from({ length: count }, (_, i) => ({ topic, key, value: `${key}:${from + i}` }))
}

function topicCases({ open }: LogCase): void {
  it('creates, describes and deletes a topic', async () => {
    const log = await open()
    const spec = plainTopic()
    expect(await log.describeTopic(spec.topic)).toBeNull()
    expect(await log.createTopic(spec)).toBe('created')
    expect(await log.createTopic(spec)).toBe('exists')
    expect(await log.describeTopic(spec.topic)).toEqual([
      { partition: 0, start: 0, end: 0 },
      { partition: 1, start: 0, end: 0 },
      { partition: 2, start: 0, end: 0 },
    ])
    await log.deleteTopic(spec.topic)
    expect(await log.describeTopic(spec.topic)).toBeNull()
  })

  it('refuses a topic that exists with other partitions', async () => {
    const log = await open()
    const spec = plainTopic()
    await log.createTopic(spec)
    expect(await codeOf(log.createTopic({ ...spec, partitions: 4 }))).toBe('topic_mismatch')
  })

  it('answers topic_missing to a writer or reader of a missing topic', async () => {
    const log = await open()
    const handler = { assigned: () => Promise.resolve(0), batch: () => Promise.resolve(0) }
    const options = { group: 'g', maxRecords: 10, maxBytes: 1_000_000, maxWaitMs: 20, concurrency: 1 }
    expect(await codeOf(log.publish([{ topic: 'nowhere', key: 'a', value: 'x' }]))).toBe('topic_missing')
    expect(await codeOf(log.tail(tailOptions('nowhere'), () => Promise.resolve()))).toBe('topic_missing')
    const consuming = log.consume({ ...options, topics: ['nowhere'], sessionTimeoutMs: 6_000 }, handler)
    expect(await codeOf(consuming)).toBe('topic_missing')
  })
}

function publishCases({ open, topic, readAll }: LogCase): void {
  it('answers positions in the order of the records, in the partition of the key', async () => {
    const log = await open()
    const name = await topic(log)
    const keys = Array.from({ length: 40 }, (_, i) => `customer-${i}`)
    const positions = await log.publish(keys.map((key) => ({ topic: name, key, value: key })))
    expect(positions.map((position) => position.partition)).toEqual(keys.map((key) => partitionOf(key, 3)))
    const records = await readAll(log, name, keys.length)
    const at = new Map(records.map((record) => [`${record.partition}/${record.offset}`, record]))
    for (const [i, key] of keys.entries()) {
      const record = at.get(`${positions[i]?.partition}/${positions[i]?.offset}`)
      expect(record?.key).toBe(key)
      expect(record === undefined ? '' : text(record)).toBe(key)
    }
    const ranges = await log.describeTopic(name)
    for (const range of ranges ?? []) {
      const offsets = positions.filter((p) => p.partition === range.partition).map((p) => p.offset)
      expect(range.end).toBeGreaterThan(Math.max(-1, ...offsets))
    }
  })

  it('keeps headers and bytes, and stamps append times that never go back', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1 })
    const value = randomBytes(50_000)
    const headers = { traceparent: '00-ab-cd-01', note: 'café ✓', empty: '' }
    const before = Date.now()
    await log.publish([
      { topic: name, key: 'clé', value, headers },
      { topic: name, key: 'k', value: new Uint8Array(0) },
      { topic: name, key: '', value: '{"text":"ü"}', partition: 0 },
    ])
    const records = await readAll(log, name, 3)
    expect(Buffer.from(records[0]?.value ?? []).equals(value)).toBe(true)
    expect(records[0]?.headers).toEqual(headers)
    expect(records[0]?.key).toBe('clé')
    expect(records[1]?.value.length).toBe(0)
    expect(records[1]?.headers).toEqual({})
    expect(records.map(text)[2]).toBe('{"text":"ü"}')
    const times = records.map((record) => record.appendTimeMs)
    expect(times).toEqual([...times].sort((left, right) => left - right))
    expect(Math.abs((times[0] ?? 0) - before)).toBeLessThan(60_000)
  })

  it('keeps the order of each key under concurrent publishers', async () => {
    const writer = await open()
    const name = await topic(writer)
    const logs = [writer, await open(), await open()]
    const keys = Array.from({ length: 12 }, (_, i) => `k${i}`)
    await Promise.all(
      keys.map(async (key, i) => {
        for (let from = 0; from < 100; from += 20) await logs[i % 3]?.publish(numbered(name, key, 20, from))
      }),
    )
    const records = await readAll(writer, name, 1_200)
    expect(records.length).toBe(1_200)
    for (const key of keys) {
      const seen = records.filter((record) => record.key === key).map(text)
      expect(seen).toEqual(numbered(name, key, 100).map((record) => record.value))
    }
  })

  it('refuses an oversized record before anything of the call is written', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 1, maxRecordBytes: 10_000 })
    const records = [...numbered(name, 'k', 3), { topic: name, key: 'k', value: randomBytes(20_000) }]
    expect(await codeOf(log.publish(records))).toBe('record_too_large')
    expect(await log.describeTopic(name)).toEqual([{ partition: 0, start: 0, end: 0 }])
    await log.publish(numbered(name, 'k', 1))
  })

  it('answers an empty call with no positions', async () => {
    const log = await open()
    expect(await log.publish([])).toEqual([])
  })
}

function tailCases({ fixture, open, topic }: LogCase): void {
  it('tails from the end: only what comes from now on, and at once', async () => {
    const log = await open()
    const name = await topic(log)
    await log.publish(numbered(name, 'old', 5))
    const seen: string[] = []
    const tail = await (
      await open()
    ).tail(tailOptions(name, 'end'), (batch) => {
      seen.push(...batch.records.map(text))
      return Promise.resolve()
    })
    await log.publish(numbered(name, 'new', 5))
    await eventually(() => seen.length >= 5, { deadlineMs: fixture().deadlineMs })
    await tail.stop()
    await tail.finished
    expect(seen).toEqual(numbered(name, 'new', 5).map((record) => record.value))
  })

  it('tails from positions, and from the start where none is given', async () => {
    const log = await open()
    const name = await topic(log, { partitions: 2 })
    const at = (partition: number) => numbered(name, `p${partition}`, 10).map((record) => ({ ...record, partition }))
    const positions = await log.publish([...at(0), ...at(1)])
    const seen: LogRecord[] = []
    const tail = await log.tail(tailOptions(name, new Map([[0, positions[6]?.offset ?? 0]])), (batch) => {
      expect(batch.end).toBeGreaterThanOrEqual(batch.next)
      expect(batch.next).toBeGreaterThan(batch.records.at(-1)?.offset ?? 0)
      seen.push(...batch.records)
      return Promise.resolve()
    })
    await eventually(() => seen.length >= 14, { deadlineMs: fixture().deadlineMs })
    await tail.stop()
    const of = (partition: number) => seen.filter((record) => record.partition === partition).map(text)
    expect(of(0)).toEqual(['p0:6', 'p0:7', 'p0:8', 'p0:9'])
    expect(of(1).length).toBe(10)
  })

  it('waits on an empty topic, and stops while it waits', async () => {
    const log = await open()
    const name = await topic(log)
    const tail = await log.tail(tailOptions(name), () => Promise.reject(new Error('there is nothing to read')))
    const started = Date.now()
    await tail.stop()
    await tail.finished
    expect(Date.now() - started).toBeLessThan(fixture().deadlineMs)
  })

  it.each([
    ['beyond the end', 11, 'log_recreated'],
    ['before the start of what a tail can hold', -1, 'log_truncated'],
  ])('ends a tail that begins %s', async (_where, first, code) => {
    const log = await open()
    const name = await topic(log)
    await log.publish(numbered(name, 'k', 10))
    const tail = await log.tail(tailOptions(name, new Map([[0, first]])), () =>
      Promise.reject(new Error('there is nothing to read')),
    )
    await expect(tail.finished).rejects.toMatchObject({ code })
  })

  it('ends a tail with what its handler threw', async () => {
    const log = await open()
    const name = await topic(log)
    await log.publish(numbered(name, 'k', 1))
    const tail = await log.tail(tailOptions(name), () => Promise.reject(new Error('handler gave up')))
    await expect(tail.finished).rejects.toThrow('handler gave up')
  })
}
