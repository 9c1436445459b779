import { expect, test } from 'vitest'
import { openRedisEventLog } from '../../../src/edges/redis/log/event-log.ts'
import { readHistory, recentScores } from '../../../src/serve/scores/score-tail.ts'
import { redisAvailable, startTestRedis } from '../../support/redis-server.ts'

const topic = 'payments.scores'

test.skipIf(redisAvailable() !== null)(
  'a process that starts knows the newest at once, and reads what was before them again: each record once',
  async () => {
    const redis = await startTestRedis()
    const log = await openRedisEventLog({ url: redis.url, namespace: 'test', commandTimeoutMs: 10_000 })
    const limits = { retentionMs: 3_600_000, retentionBytes: 64_000_000, maxRecordBytes: 1_000_000 }
    await log.createTopic({ topic, partitions: 3, replicationFactor: 1, ...limits })
    const of = (partition: number, count: number) =>
      Array.from({ length: count }, (_, n) => ({ topic, partition, key: 'k', value: `${partition}:${n}` }))
    // One partition is long, one shorter than what is held, one empty.
    await log.publish([...of(0, 100), ...of(1, 3)])
    const { from, live } = await recentScores(log, { topic, records: 30 })
    expect([...live.values()]).toEqual([100, 3, 0])
    expect([...from.values()]).toEqual([90, 0, 0])
    const read: string[] = []
    const history = await readHistory(log, { topic, records: 150, until: from, maxRecords: 7 }, async (records) => {
      read.push(...records.map(({ value }) => new TextDecoder().decode(value)))
      // What comes meanwhile is no history.
      await log.publish(of(1, 1))
    })
    await history.finished
    expect(read).toEqual(Array.from({ length: 50 }, (_, n) => `0:${n + 40}`))
    const none = await readHistory(log, { topic, records: 150, until: new Map(), maxRecords: 7 }, () =>
      Promise.reject(new Error()),
    )
    await none.finished
    await log.close()
    await redis.stop()
  },
)
