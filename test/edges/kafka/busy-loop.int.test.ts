import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openKafkaEventLog } from '../../../src/edges/kafka/event-log.ts'
import type { EventLog } from '../../../src/ports/log.ts'
import { codeOf } from '../../contract/log-probe.ts'
import { block } from '../../support/busy-loop.ts'
import { kafkaMissing, startTestKafka, type TestKafka } from '../../support/kafka-broker.ts'

const requestTimeoutMs = 600
const topic = 'busy'

describe.skipIf(kafkaMissing() !== null)('the Kafka log on a busy event loop', () => {
  let broker: TestKafka
  let log: EventLog
  beforeAll(async () => {
    broker = await startTestKafka()
    const limits = { requestTimeoutMs, connectTimeoutMs: requestTimeoutMs }
    log = await openKafkaEventLog({ brokers: [broker.brokers], clientId: 'riverbank.busy', limits })
    await log.createTopic({
      topic,
      partitions: 1,
      replicationFactor: 1,
      retentionMs: 3_600_000,
      retentionBytes: 10_000_000,
      maxRecordBytes: 100_000,
    })
    await log.publish([{ topic, key: 'k', value: 'first' }])
  })
  afterAll(async () => {
    await log.close()
    await broker.remove()
  })

  it('takes the acknowledgement that waits in the socket, however long the loop was busy', async () => {
    for (let time = 0; time < 3; time += 1) {
      const published = log.publish([{ topic, key: 'k', value: `${time}` }])
      // Once the request has left: kafkajs takes some turns of the loop for that.
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
      block(requestTimeoutMs * 3)
      expect(await published).toEqual([{ partition: 0, offset: time + 1 }])
    }
  })

  it('is unavailable when a broker takes connections and never says anything', async () => {
    const peers: Socket[] = []
    const silent = createServer((peer) => peers.push(peer)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const limits = { requestTimeoutMs: 200, connectTimeoutMs: 200 }
    const opening = openKafkaEventLog({ brokers: [`127.0.0.1:${address.port}`], clientId: 'riverbank.busy', limits })
    expect(await codeOf(opening)).toBe('log_unavailable')
    for (const peer of peers) peer.destroy()
    silent.close()
  })
})
