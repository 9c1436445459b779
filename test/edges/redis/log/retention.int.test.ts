import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openRedisEventLog, type RedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import type { OutgoingRecord, TopicSpec } from '../../../../src/ports/log.ts'
import { codeOf, Member } from '../../../contract/log-probe.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

const spec: TopicSpec = {
  topic: 'events',
  partitions: 1,
  replicationFactor: 1,
  retentionMs: 3_600_000,
  retentionBytes: 256 * 1024,
  maxRecordBytes: 64 * 1024,
}
const options = {
  group: 'readers',
  topics: ['events'],
  maxRecords: 50,
  maxBytes: 1_000_000,
  maxWaitMs: 20,
  sessionTimeoutMs: 1_500,
  concurrency: 1,
}
const within = { deadlineMs: 10_000 }

function kilobytes(count: number): OutgoingRecord[] {
  return Array.from({ length: count }, () => ({ topic: 'events', key: 'k', value: Buffer.alloc(1_000) }))
}

describe.skipIf(redisAvailable() !== null)('retention of the redis log', () => {
  let server: TestRedis
  let log: RedisEventLog
  let namespaces = 0
  const open = () => openRedisEventLog({ url: server.url, namespace: `n${namespaces}`, commandTimeoutMs: 2_000 })
  const range = async () => (await log.describeTopic('events'))?.[0] ?? { partition: 0, start: -1, end: -1 }
  const create = async (change: Partial<TopicSpec> = {}) => {
    namespaces += 1
    log = await open()
    await log.createTopic({ ...spec, ...change })
  }
  beforeAll(async () => {
    server = await startTestRedis()
  })
  afterEach(() => log.close())
  afterAll(() => server.stop())

  it('trims by size when nobody reads, and reads on from the new start', async () => {
    await create()
    for (let i = 0; i < 100; i += 1) await log.publish(kilobytes(20))
    const { start, end } = await range()
    expect(end).toBe(2_000)
    // Kept: what fits 256 KB, less at most the segment that was just dropped and the one that is open.
    expect(end - start).toBeLessThanOrEqual(252)
    expect(end - start).toBeGreaterThan(190)
    const offsets: number[] = []
    const tail = await log.tail({ topic: 'events', from: new Map(), maxRecords: 100, maxWaitMs: 20 }, (batch) => {
      offsets.push(...batch.records.map((record) => record.offset))
      return Promise.resolve()
    })
    await eventually(() => offsets.length === end - start, within)
    await tail.stop()
    expect(offsets[0]).toBe(start)
  })

  it('trims records older than the retention', async () => {
    await create({ retentionMs: 300, retentionBytes: 64 * 1024 * 1024 })
    await log.publish(kilobytes(10))
    await eventually(async () => {
      await log.publish(kilobytes(1))
      return (await range()).start >= 10
    }, within)
  })

  it('pushes back when a group has not read, keeps every record, and goes on when it has', async () => {
    await create()
    const reader = new Member()
    const subscription = await log.consume(options, reader)
    await log.publish(kilobytes(10))
    await eventually(() => reader.records.length === 10, within)
    await subscription.stop()
    let published = 10
    const fill = async (): Promise<unknown> => {
      for (;;) {
        const code = await codeOf(log.publish(kilobytes(10)))
        if (code !== 'resolved') return code
        published += 10
      }
    }
    expect(await fill()).toBe('log_full')
    expect(published).toBeGreaterThan(200)
    await expect(log.publish(kilobytes(1)))
      .resolves.toBeDefined()
      .catch(() => undefined)
    const { end } = await range()
    const again = new Member()
    const other = await open()
    const second = await other.consume(options, again)
    await eventually(() => again.records.length === end - 10, within)
    expect(again.records[0]?.offset).toBe(10)
    await log.publish(kilobytes(100))
    await eventually(() => again.records.length === end + 90, within)
    expect(again.records.map((record) => record.offset)).toEqual(again.records.map((_, i) => 10 + i))
    await second.stop()
    await other.close()
  })

  it('pushes back also for a group that joined and never committed, until it is forgotten', async () => {
    await create()
    const silent = new Member({ batch: (_, batch) => Promise.resolve(batch.next) })
    const subscription = await log.consume(options, silent)
    await subscription.stop()
    let code: unknown = 'resolved'
    for (let i = 0; i < 100 && code === 'resolved'; i += 1) code = await codeOf(log.publish(kilobytes(10)))
    expect(code).toBe('log_full')
    expect((await range()).start).toBe(0)
    await log.forgetGroup(options.group, 'events')
    await log.publish(kilobytes(100))
    expect((await range()).start).toBeGreaterThan(0)
  })

  it('takes a call larger than the retention, and refuses a record larger than it', async () => {
    await create({ maxRecordBytes: 1_000_000 })
    await log.publish(kilobytes(1_000))
    expect((await range()).end).toBe(1_000)
    const huge = [{ topic: 'events', key: 'k', value: Buffer.alloc(300_000) }]
    expect(await codeOf(log.publish(huge))).toBe('record_too_large')
  })

  it('stops a tail that was trimmed away under it', async () => {
    await create()
    await log.publish(kilobytes(10))
    let seen = 0
    const tail = await log.tail({ topic: 'events', from: new Map(), maxRecords: 5, maxWaitMs: 20 }, async (batch) => {
      seen += batch.records.length
      if (seen === 5) for (let i = 0; i < 60; i += 1) await log.publish(kilobytes(20))
      // The five that were read ahead arrive, then the gap shows.
    })
    expect(await codeOf(tail.finished)).toBe('log_truncated')
    expect(seen).toBeLessThanOrEqual(10)
  })
})
