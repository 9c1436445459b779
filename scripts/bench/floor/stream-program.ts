/**
 * Does the unavoidable work of a processor and nothing else: consumes, parses, reads and writes states of the same
 * size, runs the same model once per batch, encodes a score of the same size, produces. No windows, no checks, no
 * exactly-once effects: only the cost of the libraries. Takes one order from its parent, and answers when it has
 * handled every record.
 */
import { Redis } from 'ioredis'
import { Kafka, logLevel, type Message } from 'kafkajs'
import { InferenceSession, Tensor } from 'onnxruntime-node'

export interface FloorOrder {
  readonly driver: 'redis' | 'kafka'
  readonly redisUrl: string
  readonly brokers: string
  /** Kafka: the topics to read and to write. Redis: prefixes of one stream per partition. */
  readonly input: string
  readonly output: string
  readonly group: string
  readonly partitions: number
  readonly batchRecords: number
  /** Kafka takes no larger batch of one partition. */
  readonly batchBytes: number
  readonly model: { readonly file: string; readonly input: string; readonly output: string; readonly width: number }
  /** By entity: the fields of an event that give its id, and the bytes of a state. */
  readonly entities: readonly { readonly name: string; readonly fields: readonly string[]; readonly bytes: number }[]
  /** A score as the product publishes it, with its envelope. */
  readonly score: Readonly<Record<string, unknown>>
}

/** `ready`: the program reads. `handled`, after each batch: the number of handled records so far. */
export type FloorReport = { readonly kind: 'ready' } | { readonly kind: 'handled'; readonly records: number }

interface InputEvent {
  readonly id: string
  readonly data: Readonly<Record<string, string>>
}

interface Input {
  readonly key: Buffer
  readonly value: Buffer
}

/** An id, then key and value between their names. */
type Entries = readonly (readonly [Buffer, readonly [Buffer, Buffer, Buffer, Buffer]])[]
type Reply = readonly (Buffer | Entries)[]

type Produce = (
  partition: number,
  records: readonly { readonly key: Buffer; readonly value: string }[],
) => Promise<void>

/** Keeps so many in each stream of scores: the product trims its log too. */
const keptScores = 20_000

const report = (message: FloorReport) => process.send?.(message)

class Floor {
  readonly #order: FloorOrder
  readonly #redis: Redis
  readonly #session: InferenceSession
  readonly #states: readonly Buffer[]
  #handled = 0

  private constructor(order: FloorOrder, redis: Redis, session: InferenceSession) {
    this.#order = order
    this.#redis = redis
    this.#session = session
    this.#states = order.entities.map(({ bytes }) => Buffer.alloc(bytes, 7))
  }

  static async open(order: FloorOrder): Promise<Floor> {
    const session = await InferenceSession.create(order.model.file, { intraOpNumThreads: 1, interOpNumThreads: 1 })
    return new Floor(order, new Redis(order.redisUrl), session)
  }

  async handle(partition: number, records: readonly Input[], produce: Produce): Promise<void> {
    const { entities, model, score } = this.#order
    const events = records.map(({ value }) => JSON.parse(value.toString()) as InputEvent)
    const keys = new Map<string, Buffer>()
    for (const { data } of events) {
      for (const [i, { name, fields }] of entities.entries()) {
        keys.set(
          `${this.#order.input}:${name}:${fields.map((field) => data[field]).join('|')}`,
          this.#states[i] ?? Buffer.alloc(0),
        )
      }
    }
    await this.#redis.mgetBuffer([...keys.keys()])
    await this.#redis.mset([...keys].flat())
    const vectors = new Float32Array(records.length * model.width)
    const fed = { [model.input]: new Tensor('float32', vectors, [records.length, model.width]) }
    await this.#session.run(fed, [model.output])
    const scores = records.map(({ key }, n) => ({
      key,
      // As large as the product's, and with the id of its cause, so that a client can tell whose score it is.
      value: JSON.stringify({ ...score, causationid: events[n]?.id, n: this.#handled + n }),
    }))
    await produce(partition, scores)
    this.#handled += records.length
    report({ kind: 'handled', records: this.#handled })
  }
}

async function runOnRedis(order: FloorOrder, floor: Floor): Promise<void> {
  const redis = new Redis(order.redisUrl)
  const streams = Array.from({ length: order.partitions }, (_, partition) => `${order.input}:${partition}`)
  for (const stream of streams)
    await redis.xgroup('CREATE', stream, order.group, '0', 'MKSTREAM').catch(() => undefined)
  const produce: Produce = async (partition, records) => {
    const pipeline = redis.pipeline()
    for (const { key, value } of records)
      pipeline.xadd(`${order.output}:${partition}`, 'MAXLEN', '~', keptScores, '*', 'k', key, 'v', value)
    await pipeline.exec()
  }
  const options = ['GROUP', order.group, 'floor', 'COUNT', order.batchRecords, 'BLOCK', 1_000, 'STREAMS']
  report({ kind: 'ready' })
  for (;;) {
    // ioredis answers one flat list: a stream, its entries, the next stream.
    const read = (await redis.callBuffer(
      'XREADGROUP',
      ...options,
      ...streams,
      ...streams.map(() => '>'),
    )) as Reply | null
    for (let i = 0; i < (read?.length ?? 0); i += 2) {
      const stream = String(read?.[i])
      const entries = read?.[i + 1] as Entries
      const records = entries.map(([, [, key, , value]]) => ({ key, value }))
      await floor.handle(streams.indexOf(stream), records, produce)
      await redis.call('XACK', stream, order.group, ...entries.map(([id]) => id))
    }
  }
}

async function runOnKafka(order: FloorOrder, floor: Floor): Promise<void> {
  const kafka = new Kafka({ clientId: 'floor', brokers: order.brokers.split(','), logLevel: logLevel.ERROR })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const consumer = kafka.consumer({ groupId: order.group, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic: order.input, fromBeginning: true })
  const produce: Produce = async (partition, records) => {
    let messages: Message[] = []
    let bytes = 0
    for (const { key, value } of records) {
      bytes += value.length
      if (bytes > order.batchBytes) {
        await producer.send({ topic: order.output, acks: -1, messages })
        messages = []
        bytes = value.length
      }
      messages.push({ key, value, partition })
    }
    await producer.send({ topic: order.output, acks: -1, messages })
  }
  // kafkajs ends such a consumer in silence.
  consumer.on(consumer.events.CRASH, ({ payload }) => end(payload.error))
  consumer.on(consumer.events.GROUP_JOIN, () => report({ kind: 'ready' }))
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: order.partitions,
    async eachBatch({ batch }) {
      for (let from = 0; from < batch.messages.length; from += order.batchRecords) {
        const messages = batch.messages.slice(from, from + order.batchRecords)
        const records = messages.map(({ key, value }) => ({
          key: key ?? Buffer.alloc(0),
          value: value ?? Buffer.alloc(0),
        }))
        await floor.handle(batch.partition, records, produce)
      }
      const offset = String(Number(batch.lastOffset()) + 1)
      await consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset }])
    },
  })
}

function end(error: unknown): void {
  process.stderr.write(`floor: ${String(error)}\n`)
  process.exit(1)
}

process.once('message', (order: FloorOrder) => {
  const run = async () => {
    const floor = await Floor.open(order)
    await (order.driver === 'redis' ? runOnRedis(order, floor) : runOnKafka(order, floor))
  }
  run().catch(end)
})
process.once('disconnect', () => process.exit(0))
