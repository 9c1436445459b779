import { describe, expect, it } from 'vitest'
import { openRedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import { onPartition } from '../../../contract/event-log-group-suite.ts'
import { codeOf, Member, retrying } from '../../../contract/log-probe.ts'
import { redisAvailable, startTestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

const within = { deadlineMs: 15_000 }

describe.skipIf(redisAvailable() !== null)('a member that lost its connection', () => {
  it('gives its assignments up at once and gets new ones, long before its session would have ended', async () => {
    const server = await startTestRedis({ persistence: 'always' })
    const log = await openRedisEventLog({ url: server.url, namespace: 'r', commandTimeoutMs: 2_000 })
    try {
      await log.createTopic({
        topic: 'events',
        partitions: 1,
        replicationFactor: 1,
        retentionMs: 3_600_000,
        retentionBytes: 1_000_000,
        maxRecordBytes: 1_000,
      })
      await log.publish(onPartition('events', 0, 3))
      const member = new Member()
      await log.consume(
        {
          group: 'workers',
          topics: ['events'],
          maxRecords: 10,
          maxBytes: 1_000_000,
          maxWaitMs: 20,
          sessionTimeoutMs: 60_000,
          concurrency: 1,
        },
        member,
      )
      await eventually(async () => (await log.committed('workers', 'events')).get(0) === 3, within)
      await server.kill()
      await eventually(() => member.bindsLake[0]?.signal.aborted, within)
      expect(await codeOf(member.bindsLake[0]?.commit(2) ?? Promise.resolve())).toBe('fenced')
      expect(await codeOf(log.publish(onPartition('events', 0, 1)))).toBe('log_unavailable')
      await server.restart()
      await eventually(() => member.bindsLake.length === 2, within)
      expect(member.bindsLake[1]?.committed).toBe(3)
      await retrying(() => log.publish(onPartition('events', 0, 1, 3)), within.deadlineMs)
      await eventually(() => member.texts().at(-1) === '3', within)
      expect(member.texts()).toEqual(['0', '1', '2', '3'])
      expect(member.overlaps).toEqual([])
    } finally {
      await log.close()
      await server.stop()
    }
  })
})
