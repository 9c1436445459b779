import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openRedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import { onPartition } from '../../../contract/event-log-group-suite.ts'
import { Member } from '../../../contract/log-probe.ts'
import { redisAvailable, startTestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

const sessionTimeoutMs = 600

describe.skipIf(redisAvailable() !== null)('a lease', () => {
  it('is kept while a batch takes longer than the session timeout, against a member that waits for it', async () => {
    const server = await startTestRedis()
    const logs = [0, 1].map(() => openRedisEventLog({ url: server.url, namespace: 'l', commandTimeoutMs: 2_000 }))
    const [log, other] = await Promise.all(logs)
    if (log === undefined || other === undefined) throw new Error('no log')
    try {
      await log.createTopic({
        topic: 'events',
        partitions: 2,
        replicationFactor: 1,
        retentionMs: 3_600_000,
        retentionBytes: 1_000_000,
        maxRecordBytes: 1_000,
      })
      await log.publish([...onPartition('events', 0, 1), ...onPartition('events', 1, 1)])
      const options = {
        group: 'workers',
        topics: ['events'],
        maxRecords: 10,
        maxBytes: 1_000_000,
        maxWaitMs: 20,
        sessionTimeoutMs,
        concurrency: 2,
      }
      let settled = 0
      const slow = new Member({
        batch: async (assignment, batch) => {
          await sleep(sessionTimeoutMs * 3)
          await assignment.commit(batch.next)
          settled += 1
          return batch.next
        },
      })
      await log.consume(options, slow)
      await eventually(() => slow.batches.length === 2, { deadlineMs: 5_000 })
      let settledAtTakeover = -1
      const waiting = new Member({
        assigned: (assignment) => {
          settledAtTakeover = settled
          return assignment.committed ?? -1
        },
      })
      await other.consume(options, waiting)
      await eventually(() => waiting.bindsLake.length === 1, { deadlineMs: 10_000 })
      expect(settledAtTakeover).toBeGreaterThan(0)
      expect(waiting.bindsLake[0]?.committed).toBe(1)
      expect(waiting.records).toEqual([])
      await eventually(() => settled === 2, { deadlineMs: 5_000 })
      expect(slow.bindsLake.length).toBe(2)
      expect((await log.committed('workers', 'events')).size).toBe(2)
    } finally {
      await Promise.all([log.close(), other.close()])
      await server.stop()
    }
  })
})
