import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventsAfter, newestEventIds } from '../../scripts/demo/resume.ts'
import { history } from '../../features/simulator/history.ts'
import { scoredTypes } from '../../features/simulator/payment-events.ts'
import { generatePayments } from '../../features/simulator/payments.ts'
import { streamEvents } from '../../scripts/simulator/stream-events.ts'
import { dayMs } from '../../src/base/units.ts'
import { openRedisEventLog, type RedisEventLog } from '../../src/edges/redis/log/event-log.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'

const partitions = 3
const topic = 'events'
const columns = generatePayments({ limit: 4_000 })
const events = () => history(columns, { labelDelayMs: dayMs })
const never = new AbortController().signal

describe.skipIf(redisAvailable() !== null)('a feed that was interrupted', () => {
  let server: TestRedis
  let log: RedisEventLog
  beforeAll(async () => {
    server = await startTestRedis()
    log = await openRedisEventLog({ url: server.url, namespace: 'resume', commandTimeoutMs: 2_000 })
    const limits = { retentionMs: dayMs, retentionBytes: 1e9, maxRecordBytes: 65_536 }
    await log.createTopic({ topic, partitions, replicationFactor: 1, ...limits })
  })
  afterAll(async () => {
    await log.close()
    await server.stop()
  })

  const idsInLog = async () => {
    const ids: string[][] = Array.from({ length: partitions }, () => [])
    const ends = ((await log.describeTopic(topic)) ?? []).reduce((sum, { end }) => sum + end, 0)
    const tail = await log.tail({ topic, from: new Map(), maxRecords: 1_000, maxWaitMs: 20 }, (batch) => {
      for (const { value } of batch.records)
        ids[batch.partition]?.push((JSON.parse(new TextDecoder().decode(value)) as { id: string }).id)
      return Promise.resolve()
    })
    await eventually(() => expect(ids.flat()).toHaveLength(ends), { deadlineMs: 20_000 })
    await tail.stop()
    return ids
  }

  it('goes on in each partition where the log ends, and everything is there once and in order', async () => {
    const stopping = new AbortController()
    const options = { topic, scoredTypes, partitions, batchRecords: 50, inFlightMax: partitions }
    const publish = async (records: Parameters<typeof log.publish>[0]) => {
      await log.publish(records)
      if ((await log.describeTopic(topic))?.every(({ end }) => end > 300) === true) stopping.abort()
    }
    expect(await newestEventIds(log, topic, never)).toEqual(new Map())
    const first = await streamEvents(events(), publish, { ...options, signal: stopping.signal })
    expect(first.kind).toBe('stopped')

    const newest = await newestEventIds(log, topic, never)
    expect(newest.size).toBe(partitions)
    const second = await streamEvents(
      eventsAfter(events(), newest, partitions),
      (records) => log.publish(records),
      options,
    )
    expect(second.published).toBeGreaterThan(0)
    const all = [...events()].map(({ eventId }) => eventId)
    const found = await idsInLog()
    expect(found.flat().toSorted()).toEqual(all.toSorted())
    const order = new Map(all.map((id, i) => [id, i]))
    for (const ids of found) expect(ids).toEqual(ids.toSorted((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0)))
  })
})
