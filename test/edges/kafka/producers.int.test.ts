import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openKafkaEventLog } from '../../../src/edges/kafka/event-log.ts'
import type { EventLog, LogRecord } from '../../../src/ports/log.ts'
import { plainTopic } from '../../contract/event-log-suite.ts'
import { sendByJava } from '../../support/java-producer.ts'
import { kafkaMissing, startTestKafka, type TestKafka } from '../../support/kafka-broker.ts'
import { clientsAvailable } from '../../support/python.ts'
import { sendByLibrdkafka, type RawRecord } from '../../support/librdkafka.ts'
import { eventually } from '../../support/wait.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const within = { deadlineMs: 120_000 }
const noKafka = kafkaMissing()
const noLibrdkafka = noKafka ?? (await clientsAvailable())

/** Words that compress, and are more than one block of every codec. */
const values = Array.from(
  { length: 3_000 },
  (_, n) => `payment ${n} ${'of a customer '.repeat(5)}${(n * 7_919) % 1_000}`,
)

describe.skipIf(noKafka !== null)('I6: records of producers that others wrote', () => {
  let broker: TestKafka
  let admin: Admin
  let log: EventLog
  beforeAll(async () => {
    broker = await startTestKafka()
    admin = new kafkajs.Kafka({ brokers: [broker.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    log = await openKafkaEventLog({ brokers: [broker.brokers], clientId: 'riverbank.test' })
  }, 180_000)
  afterAll(async () => {
    await log.close()
    await admin.disconnect()
    await broker.remove()
  })

  /** One partition that keeps what producers compressed, unless it is one of ours. */
  async function topicOf(whose: 'producer' | 'ours'): Promise<string> {
    const topic = `t-${randomUUID().slice(0, 8)}`
    await log.createTopic({ ...plainTopic(), topic, partitions: 1, maxRecordBytes: 1_048_576 })
    if (whose === 'ours') return topic
    const configEntries = [
      { name: 'compression.type', value: 'producer' },
      { name: 'message.timestamp.type', value: 'LogAppendTime' },
      { name: 'max.message.bytes', value: '1064960' },
    ]
    const type = kafkajs.ConfigResourceTypes.TOPIC
    await admin.alterConfigs({ validateOnly: false, resources: [{ type, name: topic, configEntries }] })
    return topic
  }

  async function read(topic: string, count: number): Promise<LogRecord[]> {
    const found: LogRecord[] = []
    const options = { topic, from: new Map<number, number>(), maxRecords: 500, maxWaitMs: 50 }
    const tail = await log.tail(options, (batch) => {
      found.push(...batch.records)
      return Promise.resolve()
    })
    await eventually(() => found.length >= count, { ...within, what: `${count} records` })
    await tail.stop()
    return found
  }

  const textOf = ({ value }: LogRecord) => Buffer.from(value).toString()
  const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'))

  it('finds nothing in a topic that it made, and names what somebody changed', async () => {
    const spec = { ...plainTopic(), partitions: 1 }
    await log.createTopic(spec)
    expect(await log.checkTopic(spec)).toEqual([])
    const configEntries = [{ name: 'cleanup.policy', value: 'compact' }]
    const type = kafkajs.ConfigResourceTypes.TOPIC
    await admin.alterConfigs({ validateOnly: false, resources: [{ type, name: spec.topic, configEntries }] })
    const said = (await log.checkTopic(spec)).map(({ what }) => /has ([\w.]+)=/.exec(what)?.[1])
    // Kafka sets what is not named back to its defaults, which are larger.
    expect(said).toEqual(['cleanup.policy', 'max.message.bytes'])
    expect(await log.checkTopic({ ...spec, topic: 'nowhere' })).toEqual([])
  })

  it.each(codecs)(
    'a Java producer with %s, on a topic that keeps it',
    async (codec) => {
      const topic = await topicOf('producer')
      const lines = [...values.map((value, n) => `a:${n}\tc${n % 7}\t${value}`), 'a:NULL,b:x,a:y\tNULL\tNULL']
      await sendByJava({ brokers: broker.brokers, topic, codec, lines, settings: ['batch.size=400000'] })
      const records = await read(topic, lines.length)
      expect(records.slice(0, -1).map(textOf)).toEqual(values)
      expect(records[7]).toMatchObject({ key: 'c0', headers: { a: '7' } })
      const exact = records.at(-1)?.exact
      expect([exact?.key, exact?.isValueNull]).toEqual([null, true])
      expect(exact?.headers.map(([name, value]) => [hex(name), hex(value)])).toEqual([
        [hex(Buffer.from('a')), null],
        [hex(Buffer.from('b')), hex(Buffer.from('x'))],
        [hex(Buffer.from('a')), hex(Buffer.from('y'))],
      ])
    },
    180_000,
  )

  it('a Java producer with gzip, on a topic of ours: acknowledged and read', async () => {
    const topic = await topicOf('ours')
    // Ten megabytes that gzip makes one batch of: as plain bytes the topic would not take them.
    const many = Array.from({ length: 12 }, () => values).flat()
    const lines = many.map((value, n) => `a:${n}\tc${n % 7}\t${value}`)
    const settings = ['batch.size=1500000', 'linger.ms=3000', 'delivery.timeout.ms=30000', 'request.timeout.ms=20000']
    await sendByJava({ brokers: broker.brokers, topic, codec: 'gzip', lines, settings })
    expect((await read(topic, lines.length)).map(textOf)).toEqual(many)
  }, 180_000)

  it.skipIf(noLibrdkafka !== null).each(codecs)(
    'librdkafka with %s, on a topic that keeps it',
    async (codec) => {
      const topic = await topicOf('producer')
      const broken = Buffer.from([0xff, 0, 0xfe])
      const odd: RawRecord[] = [
        {
          key: broken,
          value: Buffer.from('1'),
          headers: [
            ['h', broken],
            ['h', null],
            ['', Buffer.alloc(0)],
          ],
        },
        { key: null, value: null, headers: [] },
        { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [] },
      ]
      const plain = values.map((value): RawRecord => ({
        key: Buffer.from('k'),
        value: Buffer.from(value),
        headers: [],
      }))
      await sendByLibrdkafka(broker.brokers, topic, codec, [...plain, ...odd])
      const records = await read(topic, plain.length + odd.length)
      expect(records.slice(0, plain.length).map(textOf)).toEqual(values)
      const [bytes, none, empty] = records.slice(plain.length)
      expect(hex(bytes?.exact?.key ?? null)).toBe('ff00fe')
      expect(bytes?.exact?.headers.map(([name, value]) => [hex(name), hex(value)])).toEqual([
        ['68', 'ff00fe'],
        ['68', null],
        ['', ''],
      ])
      expect([none?.key, none?.exact?.isValueNull, empty?.key, empty?.exact]).toEqual([null, true, '', undefined])
    },
    180_000,
  )

  it('a batch that becomes too much is one record, one that is too large has its batch, and the others are read', async () => {
    const topic = await topicOf('producer')
    const send = (...lines: string[]) =>
      sendByJava({
        ...{ brokers: broker.brokers, topic, codec: 'zstd', lines: lines.map((value) => `a:b\tk\t${value}`) },
        settings: ['max.request.size=60000000', 'batch.size=60000000', 'buffer.memory=120000000'],
      })
    await send('x'.repeat(20_000_000))
    await send('before', 'y'.repeat(2_000_000), 'beside')
    await send('after')
    const records = await read(topic, 5)
    expect(records.map(({ fault }) => fault?.code ?? null)).toEqual([
      'batch_unreadable',
      null,
      'record_too_large',
      null,
      null,
    ])
    expect([1, 3, 4].map((at) => textOf(records[at] as LogRecord))).toEqual(['before', 'beside', 'after'])
    for (const at of [0, 2]) expect(records[at]?.value.length).toBeLessThan(100_000)
  }, 180_000)
})
