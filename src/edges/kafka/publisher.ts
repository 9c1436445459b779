import { CompressionTypes, type Kafka, type Message, type Producer } from 'kafkajs'
import { loopClock } from '../../clock/loop-clock.ts'
import { RiverbankError, assert } from '../../base/errors.ts'
import { partitionOf } from '../../events/partitioner.ts'
import type { OutgoingRecord, Position } from '../../ports/log.ts'
import type { KafkaAdmin, TopicFacts } from './admin.ts'
import { kafkaRetry, type KafkaLimits } from './client.ts'
import { toLogError } from './errors.ts'
import type { PreparedRecord } from './batch/batch-writer.ts'
import { batchMessage } from './batch/produce-request.ts'
import { batchCapacityBytes, recordOverheadBytes, RecordPreparation } from './record.ts'
import { itemAt } from '../../base/arrays.ts'

/** One `publish` call's records of one topic. */
interface Parcel {
  readonly records: readonly PreparedRecord[]
  readonly positions: Position[]
  readonly bytes: number
  resolve(positions: readonly Position[]): void
  reject(error: RiverbankError): void
}

interface Lane {
  readonly topic: string
  readonly parcels: Parcel[]
  producer: Producer | null
  facts: { readonly value: Promise<TopicFacts>; readonly untilMs: number } | null
  draining: Promise<void> | null
}

/**
 * Publishes with acks=all, one lane per topic and one request at a time in each: that alone keeps the order of every
 * partition. Calls that arrive meanwhile share the next request. It never sends twice by itself: the broker may have
 * written a request that timed out, and only the caller knows whether a copy does harm.
 */
export class KafkaPublisher {
  readonly #kafka: Kafka
  readonly #admin: KafkaAdmin
  readonly #limits: KafkaLimits
  readonly #lanes = new Map<string, Lane>()
  #queuedBytes = 0
  #closed = false

  constructor(kafka: Kafka, admin: KafkaAdmin, limits: KafkaLimits) {
    this.#kafka = kafka
    this.#admin = admin
    this.#limits = limits
  }

  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    if (records.length === 0) return []
    const topics = new Map<string, number[]>()
    records.forEach(({ topic }, index) => {
      const indexes = topics.get(topic)
      if (indexes === undefined) topics.set(topic, [index])
      else indexes.push(index)
    })
    // Checks all sizes before it writes the first record of any topic.
    const prepared = await Promise.all(
      [...topics].map(async ([topic, indexes]) => {
        const facts = await this.#factsOf(this.#laneOf(topic))
        const preparation = new RecordPreparation()
        return { topic, indexes, records: indexes.map((i) => prepare(preparation, itemAt(records, i), facts)) }
      }),
    )
    const answers = await Promise.allSettled(
      prepared.map(async ({ topic, indexes, records: own }) => ({
        indexes,
        positions: await this.#enqueue(topic, own),
      })),
    )
    const result: Position[] = new Array<Position>(records.length)
    for (const answer of answers) {
      if (answer.status === 'rejected') throw answer.reason
      answer.value.indexes.forEach((index, i) => (result[index] = itemAt(answer.value.positions, i)))
    }
    return result
  }

  /** Sends the accepted records within `drainMs`, and refuses all others. */
  async close(): Promise<void> {
    this.#closed = true
    const lanes = [...this.#lanes.values()]
    await loopClock.within(this.#limits.drainMs, Promise.allSettled(lanes.map(async (lane) => lane.draining)))
    const closed = new RiverbankError('log_unavailable', 'cannot publish: the log is closed')
    for (const lane of lanes) for (const parcel of lane.parcels.splice(0)) this.#settle(parcel, closed)
    await loopClock.within(
      this.#limits.drainMs,
      Promise.allSettled(lanes.map(async (lane) => lane.producer?.disconnect())),
    )
  }

  #laneOf(topic: string): Lane {
    let lane = this.#lanes.get(topic)
    if (lane === undefined) {
      lane = { topic, parcels: [], producer: null, facts: null, draining: null }
      this.#lanes.set(topic, lane)
    }
    return lane
  }

  async #factsOf(lane: Lane): Promise<TopicFacts> {
    if (lane.facts === null || lane.facts.untilMs < performance.now()) {
      const untilMs = performance.now() + this.#limits.topicFactsMaxAgeMs
      lane.facts = { value: this.#admin.topicFacts(lane.topic), untilMs }
    }
    const { facts } = lane
    try {
      return await facts.value
    } catch (error) {
      if (lane.facts === facts) lane.facts = null
      throw error
    }
  }

  #enqueue(topic: string, records: readonly PreparedRecord[]): Promise<readonly Position[]> {
    const bytes = records.reduce((sum, record) => sum + record.bytes, 0)
    if (this.#closed) return Promise.reject(new RiverbankError('log_unavailable', 'cannot publish: the log is closed'))
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#limits.queuedBytes) {
      const message = `cannot publish: ${this.#queuedBytes} bytes wait to be acknowledged`
      return Promise.reject(new RiverbankError('log_unavailable', message, { canRetry: true }))
    }
    this.#queuedBytes += bytes
    const lane = this.#laneOf(topic)
    return new Promise((resolve, reject) => {
      lane.parcels.push({ records, positions: [], bytes, resolve, reject })
      lane.draining ??= this.#drain(lane).finally(() => (lane.draining = null))
    })
  }

  #settle(parcel: Parcel, error: RiverbankError | null): void {
    this.#queuedBytes -= parcel.bytes
    if (error === null) parcel.resolve(parcel.positions)
    else parcel.reject(error)
  }

  async #drain(lane: Lane): Promise<void> {
    // Calls made in the same turn of the event loop share a request.
    await Promise.resolve()
    while (lane.parcels.length > 0) {
      const { parcels, records } = await this.#nextRequest(lane)
      try {
        this.#distribute(parcels, records, await this.#send(lane, records))
      } catch (error) {
        // The rest of a failed call must not follow: its caller publishes all of it again, in order.
        lane.parcels.splice(0, parcels.length)
        const failure = toLogError(error, `publish to ${lane.topic}`)
        for (const parcel of parcels) this.#settle(parcel, failure)
        lane.facts = null
        const { producer } = lane
        lane.producer = null
        await loopClock.within(
          this.#limits.requestTimeoutMs,
          producer?.disconnect().catch(() => undefined),
        )
        continue
      }
      const done = parcels.filter((parcel) => parcel.positions.length === parcel.records.length)
      lane.parcels.splice(0, done.length)
      for (const parcel of done) this.#settle(parcel, null)
    }
  }

  /**
   * Takes records from the front of the lane: as many as one request and one batch of each partition hold; at least
   * one.
   */
  async #nextRequest(lane: Lane): Promise<{ parcels: Parcel[]; records: PreparedRecord[] }> {
    const facts = await this.#factsOf(lane).catch(() => null)
    const capacity = batchCapacityBytes(facts?.maxMessageBytes ?? recordOverheadBytes)
    const perPartition = new Map<number, number>()
    const parcels: Parcel[] = []
    const records: PreparedRecord[] = []
    let bytes = 0
    for (const parcel of lane.parcels) {
      for (let i = parcel.positions.length; i < parcel.records.length; i += 1) {
        const record = itemAt(parcel.records, i)
        const inBatch = (perPartition.get(record.partition) ?? 0) + record.bytes
        const full =
          inBatch > capacity ||
          bytes + record.bytes > this.#limits.requestBytes ||
          records.length >= this.#limits.requestRecords
        if (full && records.length > 0) return { parcels, records }
        if (parcels.at(-1) !== parcel) parcels.push(parcel)
        perPartition.set(record.partition, inBatch)
        bytes += record.bytes
        records.push(record)
      }
    }
    return { parcels, records }
  }

  /** Answers the offset of the first record of each partition. */
  async #send(lane: Lane, records: readonly PreparedRecord[]): Promise<Map<number, number>> {
    const producer = await this.#producerOf(lane)
    const metadata = await producer.sendBatch({
      acks: -1,
      timeout: this.#limits.ackTimeoutMs,
      compression: CompressionTypes.None,
      topicMessages: [{ topic: lane.topic, messages: batchesOf(records) }],
    })
    return new Map(metadata.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]))
  }

  async #producerOf(lane: Lane): Promise<Producer> {
    if (lane.producer === null) {
      lane.producer = this.#kafka.producer({
        createPartitioner:
          () =>
          ({ message }) => {
            assert(message.partition !== undefined, 'every message names its partition')
            return message.partition
          },
        retry: { ...kafkaRetry, retries: 0 },
        metadataMaxAge: this.#limits.topicFactsMaxAgeMs,
        allowAutoTopicCreation: false,
        idempotent: false,
        maxInFlightRequests: 1,
      })
      await lane.producer.connect()
    }
    return lane.producer
  }

  #distribute(parcels: readonly Parcel[], sent: readonly PreparedRecord[], bases: ReadonlyMap<number, number>): void {
    const next = new Map(bases)
    let index = 0
    for (const parcel of parcels) {
      while (index < sent.length && parcel.records[parcel.positions.length] === sent[index]) {
        const { partition } = itemAt(sent, index)
        const offset = next.get(partition)
        // kafkajs silently drops records of a partition that it does not know.
        if (offset === undefined || offset < 0) {
          throw new RiverbankError('log_unavailable', `partition ${partition} did not acknowledge`, { canRetry: true })
        }
        next.set(partition, offset + 1)
        parcel.positions.push({ partition, offset })
        index += 1
      }
    }
    assert(index === sent.length, 'every record that was sent belongs to a call')
  }
}

function batchesOf(records: readonly PreparedRecord[]): Message[] {
  const batches = new Map<number, PreparedRecord[]>()
  for (const record of records) {
    const batch = batches.get(record.partition)
    if (batch === undefined) batches.set(record.partition, [record])
    else batch.push(record)
  }
  return [...batches].map(([partition, batch]) => batchMessage(partition, batch))
}

function prepare(preparation: RecordPreparation, record: OutgoingRecord, facts: TopicFacts): PreparedRecord {
  const partition = record.partition ?? partitionOf(record.key, facts.partitions)
  if (!Number.isInteger(partition) || partition < 0 || partition >= facts.partitions) {
    throw new RiverbankError('topic_mismatch', `${record.topic} has no partition ${partition}`)
  }
  const prepared = preparation.prepare(record, partition)
  const { valueBytes } = prepared
  const valueBytesMax = facts.maxMessageBytes - recordOverheadBytes
  if (valueBytes > valueBytesMax || prepared.bytes > batchCapacityBytes(facts.maxMessageBytes)) {
    throw new RiverbankError(
      'record_too_large',
      `a record of ${valueBytes} bytes for ${record.topic}, at most ${valueBytesMax} are accepted`,
    )
  }
  return prepared
}
