import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openRedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import { topicKeys } from '../../../../src/edges/redis/log/log-keys.ts'
import { codeOf } from '../../../contract/log-probe.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'

const spec = {
  ...{ topic: 'events', partitions: 1, replicationFactor: 1, retentionMs: 3_600_000 },
  ...{ retentionBytes: 1_000_000, maxRecordBytes: 10_000 },
}
let server: TestRedis
beforeAll(async () => {
  server = await startTestRedis({ persistence: 'off' })
})
afterAll(() => server.stop())

it.skipIf(redisAvailable() !== null)(
  'I6: a topic with entries of the format before is refused, instead of each record becoming a dead letter',
  async () => {
    const options = { url: server.url, namespace: 'before', commandTimeoutMs: 5_000 }
    const writer = await openRedisEventLog(options)
    await writer.createTopic(spec)
    await writer.publish([{ topic: 'events', key: 'k', value: 'v' }])
    await writer.close()
    // What the version before left behind: a topic that does not say how its entries are written.
    const redis = new Redis(server.url)
    await redis.hdel(topicKeys('before', 'events').topic, 'format')
    redis.disconnect()

    const log = await openRedisEventLog(options)
    const tailing = { topic: 'events', from: new Map(), maxRecords: 3, maxWaitMs: 20 }
    expect(await codeOf(log.createTopic(spec))).toBe('topic_mismatch')
    expect(await codeOf(log.describeTopic('events'))).toBe('topic_mismatch')
    expect(await codeOf(log.publish([{ topic: 'events', key: 'k', value: 'v' }]))).toBe('topic_mismatch')
    expect(await codeOf(log.tail(tailing, () => Promise.resolve()))).toBe('topic_mismatch')
    await log.close()
  },
)
