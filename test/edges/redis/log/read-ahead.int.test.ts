import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import type { GroupHandler } from '../../../../src/ports/log.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

const records = 200

/** How many others a signal remembers that depend on it: Node has it under a symbol of its own. */
function traces(signal: AbortSignal): number {
  const sizes = Object.getOwnPropertySymbols(signal).map((symbol): unknown => {
    const found: unknown = Reflect.get(signal, symbol)
    return typeof found === 'object' && found !== null && 'size' in found ? found.size : 0
  })
  return sizes.reduce<number>((sum, size) => sum + Number(size), 0)
}

describe.skipIf(redisAvailable() !== null)('reading ahead', () => {
  let server: TestRedis
  beforeAll(async () => {
    server = await startTestRedis()
  })
  afterAll(() => server.stop())

  it('would leave a trace for each signal that is made of another', () => {
    const { signal } = new AbortController()
    const made = Array.from({ length: 3 }, () => AbortSignal.any([signal, new AbortController().signal]))
    expect([made.length, traces(signal)]).toEqual([3, 3])
  })

  it('leaves no listener on the signal of an assignment, however many batches it has', async () => {
    const log = await openRedisEventLog({ url: server.url, namespace: 'ahead', commandTimeoutMs: 5_000 })
    const limits = { retentionMs: 3_600_000, retentionBytes: 2 ** 26, maxRecordBytes: 2 ** 16 }
    await log.createTopic({ topic: 'events', partitions: 1, replicationFactor: 1, ...limits })
    await log.publish(Array.from({ length: records }, (_, i) => ({ topic: 'events', key: 'k', value: `${i}` })))
    let [seen, most] = [0, 0]
    const handler: GroupHandler = {
      assigned: (assignment) => Promise.resolve(assignment.range.start),
      batch: (assignment, batch) => {
        most = Math.max(most, traces(assignment.signal))
        seen += batch.records.length
        return Promise.resolve(batch.next)
      },
    }
    const reading = { maxRecords: 1, maxBytes: 1_000_000, maxWaitMs: 20, sessionTimeoutMs: 60_000, concurrency: 1 }
    const consumption = await log.consume({ group: 'readers', topics: ['events'], ...reading }, handler)
    await eventually(() => seen === records, { deadlineMs: 60_000, what: 'all records are read' })
    expect(most).toBeLessThan(10)
    await consumption.stop()
    await log.close()
  })
})
