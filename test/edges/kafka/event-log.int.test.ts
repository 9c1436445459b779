import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import kafkajs from 'kafkajs'
import type { Admin, Kafka } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { isRiverbankError } from '../../../src/base/errors.ts'
import { openKafkaEventLog } from '../../../src/edges/kafka/event-log.ts'
import type { KafkaLimits } from '../../../src/edges/kafka/client.ts'
import type { EventLog, LogBatch, LogRecord, TopicSpec } from '../../../src/ports/log.ts'
import { codeOf, Member, retrying } from '../../contract/log-probe.ts'
import { kafkaMissing, startTestKafka, type TestKafka } from '../../support/kafka-broker.ts'
import { eventually } from '../../support/wait.ts'
import { built } from '../../support/built.ts'

const sessionTimeoutMs = 2_000
const within = { deadlineMs: 20_000 }

describe.skipIf(kafkaMissing() !== null)('event log on Kafka', () => {
  let broker: TestKafka
  let raw: Kafka
  let admin: Admin
  beforeAll(async () => {
    broker = await startTestKafka()
    raw = new kafkajs.Kafka({ brokers: [broker.brokers], clientId: 'raw', logLevel: kafkajs.logLevel.NOTHING })
    admin = raw.admin()
    await admin.connect()
  })
  afterAll(async () => {
    await admin.disconnect()
    await broker.remove()
  })

  const open = async (limits: Partial<KafkaLimits> = {}): Promise<EventLog> => {
    const log = await openKafkaEventLog({ brokers: [broker.brokers], clientId: 'riverbank.test', limits })
    onTestFinished(() => log.close())
    return log
  }
  const create = async (log: EventLog): Promise<string> => {
    const spec = onePartition()
    await log.createTopic(spec)
    return spec.topic
  }
  const consumeOptions = (topic: string, group: string = randomUUID()) => ({
    ...{ group, topics: [topic], maxRecords: 50, maxBytes: 1_000_000, maxWaitMs: 20, sessionTimeoutMs, concurrency: 1 },
  })

  it('stamps records with the time the broker accepted them, whatever the producer says', async () => {
    const log = await open()
    const topic = await create(log)
    const producer = raw.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    const before = Date.now()
    await producer.send({ topic, messages: [{ key: 'k', value: 'from 1970', timestamp: '1000' }] })
    const after = Date.now()
    await producer.disconnect()
    const [record] = await readAll(log, topic, 1)
    expect(record?.appendTimeMs).toBeGreaterThanOrEqual(before)
    expect(record?.appendTimeMs).toBeLessThanOrEqual(after)
  })

  it('refuses a topic whose times are the producers', async () => {
    const log = await open()
    const spec = onePartition()
    const configEntries = [{ name: 'message.timestamp.type', value: 'CreateTime' }]
    await admin.createTopics({
      topics: [{ topic: spec.topic, numPartitions: 1, configEntries }],
      waitForLeaders: false,
    })
    expect(await codeOf(log.createTopic(spec))).toBe('topic_mismatch')
  })

  it('reads past the markers of transactions, and leaves out what was aborted', async () => {
    const log = await open()
    const topic = await create(log)
    const producer = raw.producer({
      transactionalId: randomUUID(),
      maxInFlightRequests: 1,
      idempotent: true,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    for (const value of ['kept 1', 'dropped', 'kept 2']) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ key: 'k', value }] })
      await (value === 'dropped' ? transaction.abort() : transaction.commit())
    }
    await producer.disconnect()
    const member = new Member()
    const options = consumeOptions(topic)
    const subscription = await log.consume(options, member)
    await eventually(() => member.records.length === 2, within)
    await eventually(async () => (await log.committed(options.group, topic)).get(0) === 6, within)
    await subscription.stop()
    expect(member.texts()).toEqual(['kept 1', 'kept 2'])
    expect(member.records.map((record) => record.offset)).toEqual([0, 4])
    expect((await log.describeTopic(topic))?.[0]?.end).toBe(6)
  })

  it('leaves the position of a group alone when the log is truncated past it', async () => {
    const log = await open()
    const topic = await create(log)
    await log.publish(Array.from({ length: 20 }, (_, i) => ({ topic, key: 'k', value: String(i) })))
    const options = consumeOptions(topic)
    const truncate = async (): Promise<void> => {
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '10' }] })
    }
    const member = new Member({
      batch: async (assignment, batch) => {
        await assignment.commit(5)
        await truncate()
        return Math.min(5, batch.next)
      },
    })
    const subscription = await log.consume(options, member)
    expect(await codeOf(subscription.finished)).toBe('log_truncated')
    expect(await log.committed(options.group, topic)).toEqual(new Map([[0, 5]]))
  })

  it('splits what does not fit into one batch of the topic, and keeps the order', async () => {
    const log = await open()
    const spec = { ...onePartition(), maxRecordBytes: 10_000 }
    await log.createTopic(spec)
    const records = Array.from({ length: 60 }, (_, i) => ({
      topic: spec.topic,
      key: 'k',
      value: String(i).padEnd(9_000),
    }))
    const positions = await log.publish(records)
    expect(positions.map((position) => position.offset)).toEqual(records.map((_, i) => i))
    const read = await readAll(log, spec.topic, 60)
    expect(read.map((record) => Number(Buffer.from(record.value).toString()))).toEqual(records.map((_, i) => i))
  })

  it('refuses to queue without end, and a frozen broker costs a bounded time', async () => {
    const log = await open({ requestTimeoutMs: 1_000, ackTimeoutMs: 800, connectTimeoutMs: 500, queuedBytes: 2_000 })
    const topic = await create(log)
    const record = { topic, key: 'k', value: 'x'.repeat(500) }
    await log.publish([record])
    broker.pause()
    const started = performance.now()
    const failures = await Promise.all(Array.from({ length: 20 }, () => failureOf(log.publish([record]))))
    const tookMs = performance.now() - started
    broker.resume()
    expect(failures.every((error) => isRiverbankError(error, 'log_unavailable') && error.canRetry)).toBe(true)
    expect(failures.filter((error) => String(error).includes('wait to be acknowledged')).length).toBeGreaterThan(10)
    expect(tookMs).toBeLessThan(15_000)
    await retrying(() => log.publish([record]), within.deadlineMs)
  })

  it('goes on where it was after an outage longer than the session', async () => {
    const log = await open({ requestTimeoutMs: 1_000, ackTimeoutMs: 800, connectTimeoutMs: 500 })
    const topic = await create(log)
    const member = new Member()
    const subscription = await log.consume(consumeOptions(topic), member)
    await log.publish([{ topic, key: 'k', value: 'before' }])
    await eventually(() => member.records.length === 1, within)
    await broker.kill()
    await eventually(() => member.held().length === 0, within)
    await broker.restart()
    await retrying(() => log.publish([{ topic, key: 'k', value: 'after' }]), within.deadlineMs)
    await eventually(() => member.texts().includes('after'), within)
    await subscription.stop()
    expect(member.overlaps).toEqual([])
    expect([...new Set(member.texts())]).toEqual(['before', 'after'])
  })

  it('ends with log_unavailable when the log stays out of reach', async () => {
    const log = await open({ requestTimeoutMs: 500, ackTimeoutMs: 400, connectTimeoutMs: 300, outageMs: 1_000 })
    const topic = await create(log)
    const member = new Member()
    const subscription = await log.consume(consumeOptions(topic), member)
    await eventually(() => member.bindsLake.length === 1, within)
    await broker.kill()
    expect(await codeOf(subscription.finished)).toBe('log_unavailable')
    await broker.restart()
  })

  it.each([
    ['commits', 'fenced'],
    ['keeps quiet', 'none'],
    ['blocks', 'none'],
  ])('hands nothing more to a member that was cut off, and %s', async (habit, code) => {
    const log = await open()
    const topic = await create(log)
    const options = consumeOptions(topic)
    await log.publish(['a', 'b', 'c'].map((value) => ({ topic, key: 'k', value })))
    const zombie = startMember([broker.brokers, options.group, topic, String(sessionTimeoutMs), habit])
    await eventually(() => zombie.told.some((line) => line.kind === 'batch'), within)
    if (habit === 'blocks') zombie.child.stdin.write('\n')
    else zombie.child.kill('SIGSTOP')

    const heir = new Member()
    const subscription = await log.consume(options, heir)
    await eventually(() => heir.records.length === 3, within)
    const end = heir.batches.at(-1)?.next ?? -1
    await eventually(async () => (await log.committed(options.group, topic)).get(0) === end, within)
    if (habit !== 'blocks') zombie.child.stdin.write('\n')
    zombie.child.kill('SIGCONT')
    await eventually(() => zombie.told.some((line) => line.kind === 'done'), within)
    expect(zombie.told.find((line) => line.kind === 'done')?.code).toBe(code)
    await eventually(
      () => heir.bindsLake.length > 1 || zombie.told.filter((l) => l.kind === 'assigned').length > 1,
      within,
    )
    await subscription.stop()
    expect(zombie.told.filter((line) => line.kind === 'batch')).toEqual([{ kind: 'batch', offset: 0 }])
    expect((await log.committed(options.group, topic)).get(0)).toBe(end)
  })
})

function onePartition(): TopicSpec {
  return {
    topic: `t-${randomUUID().slice(0, 8)}`,
    partitions: 1,
    replicationFactor: 1,
    retentionMs: 3_600_000,
    retentionBytes: 64 * 1024 * 1024,
    maxRecordBytes: 100_000,
  }
}

async function readAll(log: EventLog, topic: string, count: number): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  const tail = await log.tail({ topic, from: new Map(), maxRecords: 100, maxWaitMs: 20 }, (batch: LogBatch) => {
    found.push(...batch.records)
    return Promise.resolve()
  })
  await eventually(() => found.length >= count, within)
  await tail.stop()
  return found
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  )
}

interface Told {
  readonly kind: 'assigned' | 'batch' | 'done'
  readonly offset?: number
  readonly code?: string
}

function startMember(args: readonly string[]) {
  const script = built('test/edges/kafka/member-process.ts')
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const told: Told[] = []
  createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line) as Told))
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, told }
}
