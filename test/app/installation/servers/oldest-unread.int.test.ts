import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../../../src/app/installation/settings/config.ts'
import { openEventLog } from '../../../../src/app/installation/servers/event-log.ts'
import { oldestUnreadMs } from '../../../../src/app/installation/servers/oldest-unread.ts'
import { createTopics } from '../../../../src/app/installation/servers/topics.ts'
import { partitionKey } from '../../../../src/lake/commit/commit.ts'
import type { EventLog } from '../../../../src/ports/log.ts'
import { eventually } from '../../../support/wait.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'

const topic = 'payments.events'

describe.skipIf(redisAvailable() !== null)('the oldest record that the lake lacks', () => {
  let redis: TestRedis
  let log: EventLog
  /** When the log took each record, by offset. */
  const takenMs: number[] = []

  beforeAll(async () => {
    redis = await startTestRedis()
    const config = readConfig({ REDIS_URL: redis.url })
    log = await openEventLog(config)
    await createTopics(config, log)
    for (const value of ['one', 'two', 'three']) await log.publish([{ topic, key: 'c1', partition: 2, value }])
    const tail = await log.tail({ topic, from: new Map([[2, 0]]), maxRecords: 10, maxWaitMs: 50 }, ({ records }) => {
      for (const { offset, appendTimeMs } of records) takenMs[offset] = appendTimeMs
      return Promise.resolve()
    })
    await eventually(() => takenMs.length === 3, { deadlineMs: 60_000, what: 'three records are read' })
    await tail.stop()
  })
  afterAll(async () => {
    await log.close()
    await redis.stop()
  })

  test.each([
    ['nothing of the partition', [], 0],
    ['the first record', [1], 1],
    ['the first two', [2], 2],
  ])('where it has %s', async (_name, next, offset) => {
    const covered = new Map(next.map((position) => [partitionKey(topic, 2), position]))
    expect(await oldestUnreadMs(log, [topic], covered)).toBe(takenMs[offset])
  })

  test('is null where the lake has all records', async () => {
    expect(await oldestUnreadMs(log, [topic], new Map([[partitionKey(topic, 2), 3]]))).toBeNull()
  })
})
