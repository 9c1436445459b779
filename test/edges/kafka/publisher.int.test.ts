import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { KafkaLimits } from '../../../src/edges/kafka/client.ts'
import { openKafkaEventLog } from '../../../src/edges/kafka/event-log.ts'
import type { EventLog, LogRecord, OutgoingRecord } from '../../../src/ports/log.ts'
import { plainTopic } from '../../contract/event-log-suite.ts'
import { codeOf, retrying, text } from '../../contract/log-probe.ts'
import { kafkaMissing, startTestKafka, type TestKafka } from '../../support/kafka-broker.ts'
import { eventually } from '../../support/wait.ts'

const within = { deadlineMs: 20_000 }
const hasty = { requestTimeoutMs: 1_000, ackTimeoutMs: 800, connectTimeoutMs: 500 }
const topicType = kafkajs.ConfigResourceTypes.TOPIC

describe.skipIf(kafkaMissing() !== null)('records that we publish to Kafka', () => {
  let broker: TestKafka
  let admin: Admin
  beforeAll(async () => {
    broker = await startTestKafka({
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': 'true',
    })
    admin = new kafkajs.Kafka({ brokers: [broker.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
  }, 120_000)
  afterAll(async () => {
    await admin.disconnect()
    await broker.remove()
  })

  const open = async (limits: Partial<KafkaLimits> = {}, clientId = 'riverbank.test'): Promise<EventLog> => {
    const log = await openKafkaEventLog({ brokers: [broker.brokers], clientId, limits })
    onTestFinished(() => log.close())
    return log
  }

  const create = async (log: EventLog, partitions = 1, maxRecordBytes = 100_000): Promise<string> => {
    const spec = { ...plainTopic(), partitions, maxRecordBytes }
    await log.createTopic(spec)
    return spec.topic
  }

  const readAll = (topic: string, count: number) => readUntil(topic, (found) => found.length >= count)

  async function readUntil(topic: string, isEnough: (found: readonly LogRecord[]) => boolean): Promise<LogRecord[]> {
    const log = await open()
    const found: LogRecord[] = []
    const options = { topic, from: new Map<number, number>(), maxRecords: 100, maxWaitMs: 20 }
    const tail = await log.tail(options, ({ records }) => {
      found.push(...records)
      return Promise.resolve()
    })
    await eventually(() => isEnough(found), { ...within, what: 'all that was published' })
    await tail.stop()
    return found
  }

  const textsOf = async (topic: string, count: number) => (await readAll(topic, count)).map(text)
  const numbered = (topic: string, from: number, count: number): OutgoingRecord[] =>
    Array.from({ length: count }, (_, n) => ({ topic, key: 'k', partition: 0, value: String(from + n) }))
  const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n))

  it.each([
    ['a short name', 'r'],
    ['a name longer than the room before a request', 'r'.repeat(600)],
  ])('come back as they were sent, texts and bytes, on all partitions at once, by a client with %s', async (_, id) => {
    const log = await open({}, id)
    const topic = await create(log, 4)
    const shared = { 'content-type': 'application/json', größe: 'ü' }
    // More than a batch of each partition may hold.
    const sent = Array.from({ length: 400 }, (_, n): OutgoingRecord => {
      const value = `${n} ${['plain', 'ключ', '🦫', ''][n % 4]}`.padEnd(1 + ((n * 97) % 3_000), 'é')
      const headers = n % 5 === 0 ? { n: String(n) } : shared
      return { topic, key: `k${n}`, partition: n % 4, value: n % 3 === 0 ? Buffer.from(value) : value, headers }
    })
    const positions = await log.publish(sent)
    const found = await readAll(topic, sent.length)
    const at = new Map(found.map((record) => [`${record.partition}/${record.offset}`, record]))
    for (const [n, record] of sent.entries()) {
      const { partition, offset } = positions[n] ?? { partition: -1, offset: -1 }
      expect(partition).toBe(record.partition)
      const read = at.get(`${partition}/${offset}`)
      expect(read).toMatchObject({ key: record.key, headers: record.headers })
      expect(Buffer.from(read?.value ?? []).equals(Buffer.from(record.value))).toBe(true)
    }
    for (let partition = 0; partition < 4; partition += 1) {
      const offsets = positions.filter((position) => position.partition === partition).map(({ offset }) => offset)
      expect(offsets).toEqual(offsets.map((_, n) => n))
    }
  })

  it('I4: are in the log at most once when the acknowledgement did not come: no client sends them again', async () => {
    const log = await open(hasty)
    const topic = await create(log)
    await log.publish(numbered(topic, 0, 1))
    broker.pause()
    // The stop reaches the broker's threads a moment later.
    let refused: unknown = null
    let next = 1
    for (; refused === null; next += 1) {
      refused = await log.publish(numbered(topic, next, 1)).then(
        () => null,
        (error: unknown) => error,
      )
    }
    broker.resume()
    expect(refused).toMatchObject({ code: 'log_unavailable', canRetry: true })
    const last = String(next)
    await retrying(() => log.publish(numbered(topic, next, 1)), within.deadlineMs)
    const texts = (await readUntil(topic, (found) => found.some((record) => text(record) === last))).map(text)
    const numbersRead = texts.map(Number)
    expect(numbersRead).toEqual(numbersRead.toSorted((one, other) => one - other))
    // The caller's own tries of the last one may leave copies.
    const others = texts.filter((one) => one !== last)
    expect(others).toEqual([...new Set(others)])
    expect(others).toContain('0')
  })

  it('I4: are refused with a code while the broker is away, and keep their order when their callers try again', async () => {
    const log = await open(hasty)
    const topic = await create(log)
    await log.publish(numbered(topic, 0, 1))
    await broker.kill()
    const calls = [1, 3, 5].map((from) => () => log.publish(numbered(topic, from, 2)))
    expect(await Promise.all(calls.map((call) => codeOf(call())))).toEqual(Array(3).fill('log_unavailable'))
    await broker.restart()
    for (const call of calls) await retrying(call, within.deadlineMs)
    expect(await textsOf(topic, 7)).toEqual(numbers(7))
  })

  it('I6: are refused by their code when the topic takes less than it did, and others go on', async () => {
    const log = await open()
    const topic = await create(log)
    await log.publish(numbered(topic, 0, 1))
    const smaller = [
      { name: 'max.message.bytes', value: '20000' },
      { name: 'message.timestamp.type', value: 'LogAppendTime' },
    ]
    const resources = [{ type: topicType, name: topic, configEntries: smaller }]
    await admin.alterConfigs({ validateOnly: false, resources })
    const large = { topic, key: 'k', value: 'x'.repeat(50_000) }
    await eventually(async () => (await codeOf(log.publish([large]))) === 'record_too_large', within)
    await log.publish(numbered(topic, 1, 1))
    const last = (await readAll(topic, 2)).at(-1)
    expect(last === undefined ? null : text(last)).toBe('1')
  })

  it('are refused with log_refused where the client may not write, and nothing of them is written', async () => {
    const log = await open()
    const topic = await create(log)
    const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
    const rule = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topic,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:ANONYMOUS',
      host: '*',
    }
    const allowed = { ...rule, operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW }
    const denied = { ...rule, operation: AclOperationTypes.WRITE, permissionType: AclPermissionTypes.DENY }
    await admin.createAcls({ acl: [allowed, denied] })
    await eventually(async () => (await codeOf(log.publish(numbered(topic, 0, 1)))) === 'log_refused', within)
    const { end = -1 } = (await log.describeTopic(topic))?.[0] ?? {}
    expect(await codeOf(log.publish(numbered(topic, 1, 1)))).toBe('log_refused')
    expect((await log.describeTopic(topic))?.[0]?.end).toBe(end)
  })

  it('I4: are acknowledged or refused when the log closes under them, and the acknowledged are in the log, in order', async () => {
    const log = await open()
    const topic = await create(log)
    const calls = Array.from({ length: 50 }, (_, n) => log.publish(numbered(topic, n, 1)))
    const late = calls[0]?.then(() => log.publish(numbered(topic, 50, 1)))
    await log.close()
    const answers = await Promise.all(calls.map(codeOf))
    const acknowledged = answers.flatMap((answer, n) => (answer === 'resolved' ? [String(n)] : []))
    expect(['resolved', 'log_unavailable']).toEqual(expect.arrayContaining([...new Set(answers)]))
    expect(late === undefined ? null : await codeOf(late)).toBe('log_unavailable')
    const texts = await textsOf(topic, acknowledged.length)
    expect(texts).toEqual(texts.toSorted((a, b) => Number(a) - Number(b)))
    expect(texts).toEqual(expect.arrayContaining(acknowledged))
  })
})
