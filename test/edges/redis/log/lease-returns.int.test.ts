import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectRedis } from '../../../../src/edges/redis/server/connection.ts'
import { openRedisEventLog, type RedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import {
  assignScript,
  commitScript,
  releaseScript,
  renewScript,
} from '../../../../src/edges/redis/log/group-scripts.ts'
import { partitionKeys } from '../../../../src/edges/redis/log/log-keys.ts'
import { onPartition } from '../../../contract/event-log-group-suite.ts'
import { Member } from '../../../contract/log-probe.ts'
import { block } from '../../../support/busy-loop.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

const sessionTimeoutMs = 600
const within = { deadlineMs: 60_000 }
const options = {
  group: 'workers',
  topics: ['events'],
  maxRecords: 1,
  maxBytes: 1_000_000,
  maxWaitMs: 20,
  sessionTimeoutMs,
  concurrency: 1,
}

describe.skipIf(redisAvailable() !== null)('a member whose loop was blocked for longer than its session', () => {
  let server: TestRedis
  let log: RedisEventLog
  beforeEach(async () => {
    server = await startTestRedis({ persistence: 'off' })
    log = await openRedisEventLog({ url: server.url, namespace: 'b', commandTimeoutMs: 2_000 })
    const kept = { retentionMs: 3_600_000, retentionBytes: 1_000_000, maxRecordBytes: 1_000 }
    await log.createTopic({ topic: 'events', partitions: 1, replicationFactor: 1, ...kept })
  })
  afterEach(async () => {
    await log.close()
    await server.stop()
  })

  it('goes on with its assignment, and its commit counts, when no other member came', async () => {
    await log.publish(onPartition('events', 0, 6))
    const member = new Member({
      batch: async (assignment, batch) => {
        block(sessionTimeoutMs * 2)
        await assignment.commit(batch.next)
        return batch.next
      },
    })
    await log.consume(options, member)
    await eventually(async () => (await log.committed('workers', 'events')).get(0) === 6, within)
    expect(member.bindsLake).toHaveLength(1)
    expect(member.records).toHaveLength(6)
  })

  it('I4: is fenced once somebody else has owned the partition, also when that one has left again', async () => {
    const redis = await connectRedis(
      { url: server.url, name: 'scripts', commandTimeoutMs: 2_000, reconnectMaxDelayMs: 100 },
      'log_unavailable',
    )
    await log.publish(onPartition('events', 0, 3))
    const keys = partitionKeys('b', 'events', 0)
    const lease = keys.lease('workers')
    const incarnation = (await redis.hget(keys.meta, 'incarnation')) ?? ''
    const assignment = (token: string, member: string) =>
      assignScript.run(redis, [lease, keys.meta, keys.groups], [token, member, 60_000, 'workers'])
    const commit = async (token: string, next: number) =>
      String(await commitScript.run(redis, [lease, keys.meta, keys.groups], [token, 'workers', next, incarnation]))
    const owned = async (token: string) => {
      const reply = await renewScript.run(redis, [lease, keys.meta], [token, 60_000, 'workers'])
      return String((reply as unknown[])[0])
    }
    await assignment('first/1', 'first')
    await redis.del(lease)
    expect(await commit('first/1', 1)).toBe('ok')
    await assignment('second/1', 'second')
    expect([await commit('first/1', 2), await owned('first/1')]).toEqual(['fenced', '0'])
    expect(await commit('second/1', 2)).toBe('ok')
    await releaseScript.run(redis, [lease, keys.meta], ['second/1', 'workers'])
    expect([await commit('first/1', 3), await owned('first/1')]).toEqual(['fenced', '0'])
    await assignment('first/2', 'first')
    expect([await owned('first/2'), await commit('first/2', 3)]).toEqual(['1', 'ok'])
    redis.disconnect()
  })
})
