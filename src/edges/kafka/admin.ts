import kafkajs from 'kafkajs'
import type { Admin, Kafka } from 'kafkajs'
import { loopClock } from '../../clock/loop-clock.ts'
import { RiverbankError } from '../../base/errors.ts'
import type { PartitionRange, TopicSpec } from '../../ports/log.ts'
import { kafkaRetry, type KafkaLimits } from './client.ts'
import { protocolTypeOf, toLogError } from './errors.ts'
import { recordOverheadBytes } from './record.ts'
import { checkedProperties } from './topic-check.ts'

/** The properties of a topic that a publisher needs. */
export interface TopicFacts {
  readonly partitions: number
  /** Kafka's limit on one batch of records of one partition. */
  readonly maxMessageBytes: number
  readonly timestampType: string
}

/**
 * Makes administrative calls one after the other over one connection: a kafkajs admin shares one metadata cache among
 * its calls, and concurrent calls remove each other's topics from it. After a failure it reconnects, because a topic
 * deleted elsewhere stays in that cache and fails every later call.
 */
export class KafkaAdmin {
  readonly #kafka: Kafka
  readonly #limits: KafkaLimits
  #admin: Admin | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #closed = false

  constructor(kafka: Kafka, limits: KafkaLimits) {
    this.#kafka = kafka
    this.#limits = limits
  }

  /** Rejects with `log_unavailable` when no broker answers. */
  async ping(): Promise<void> {
    await this.#call('reach the brokers', (admin) => admin.describeCluster())
  }

  async createTopic(spec: TopicSpec): Promise<'created' | 'exists'> {
    const { topic, partitions, replicationFactor } = spec
    const created = await this.#call(`create topic ${topic}`, (admin) =>
      admin.createTopics({
        topics: [{ topic, numPartitions: partitions, replicationFactor, configEntries: configOf(spec) }],
        timeout: this.#limits.requestTimeoutMs,
        // kafkajs would wait by asking a broker that may not know the topic yet, and fail.
        waitForLeaders: false,
      }),
    )
    await this.#until(topic, `topic ${topic} is not ready`, (ranges) => ranges !== null)
    const facts = await this.topicFacts(topic)
    if (facts.partitions !== partitions) {
      throw new RiverbankError(
        'topic_mismatch',
        `topic ${topic} has ${facts.partitions} partitions, ${partitions} are configured`,
      )
    }
    if (facts.timestampType !== 'LogAppendTime') {
      throw new RiverbankError(
        'topic_mismatch',
        `topic ${topic} has message.timestamp.type=${facts.timestampType}; only LogAppendTime says when the log accepted a record`,
      )
    }
    return created ? 'created' : 'exists'
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#unlessMissing(`delete topic ${topic}`, (admin) =>
      admin.deleteTopics({ topics: [topic], timeout: this.#limits.requestTimeoutMs }),
    )
    await this.#until(topic, `topic ${topic} is still there`, (ranges) => ranges === null)
  }

  async describeTopic(topic: string): Promise<readonly PartitionRange[] | null> {
    const offsets = await this.#unlessMissing(`describe topic ${topic}`, (admin) => admin.fetchTopicOffsets(topic))
    if (offsets === null) return null
    return offsets
      .map(({ partition, low, high }) => ({ partition, start: Number(low), end: Number(high) }))
      .sort((a, b) => a.partition - b.partition)
  }

  /** Rejects with `topic_missing`. */
  topicFacts(topic: string): Promise<TopicFacts> {
    return this.#call(`describe topic ${topic}`, async (admin) => {
      const metadata = await admin.fetchTopicMetadata({ topics: [topic] })
      const entries = await propertiesOf(admin, topic, ['max.message.bytes', 'message.timestamp.type'])
      return {
        partitions: metadata.topics[0]?.partitions.length ?? 0,
        maxMessageBytes: Number(entries.get('max.message.bytes') ?? 1_048_576),
        timestampType: entries.get('message.timestamp.type') ?? 'CreateTime',
      }
    })
  }

  /** The topic's values of {@link checkedProperties}; null when there is no such topic. */
  async properties(topic: string): Promise<ReadonlyMap<string, string> | null> {
    return this.#unlessMissing(`describe topic ${topic}`, async (admin) => {
      await admin.fetchTopicMetadata({ topics: [topic] })
      return propertiesOf(admin, topic, checkedProperties)
    })
  }

  async committed(group: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const answer = await this.#unlessMissing(`read positions of ${group}`, (admin) =>
      admin.fetchOffsets({ groupId: group, topics: [topic] }),
    )
    const positions = new Map<number, number>()
    for (const { partition, offset } of answer?.[0]?.partitions ?? []) {
      if (Number(offset) >= 0) positions.set(partition, Number(offset))
    }
    return positions
  }

  /** Counts the members of a group, whatever they read. */
  async members(group: string): Promise<number> {
    const { groups } = await this.#call(`describe group ${group}`, (admin) => admin.describeGroups([group]))
    return groups[0]?.members.length ?? 0
  }

  async deleteGroup(group: string): Promise<void> {
    await this.#call(`delete group ${group}`, (admin) => admin.deleteGroups([group]))
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#turn.catch(() => undefined)
    await this.#drop()
  }

  async #unlessMissing<T>(doing: string, action: (admin: Admin) => Promise<T>): Promise<T | null> {
    try {
      return await this.#call(doing, action)
    } catch (error) {
      if (error instanceof RiverbankError && error.code === 'topic_missing') return null
      throw error
    }
  }

  /** Polls: a broker learns of a topic, and begins to lead its partitions, a little after the controller created it. */
  async #until(topic: string, otherwise: string, done: (ranges: readonly PartitionRange[] | null) => boolean) {
    const lateAtMs = loopClock.nowMs() + this.#limits.topicTimeoutMs
    for (;;) {
      let cause: unknown
      try {
        if (done(await this.describeTopic(topic))) return
      } catch (error) {
        if (!(error instanceof RiverbankError && error.canRetry)) throw error
        cause = error
      }
      if (loopClock.nowMs() > lateAtMs) {
        const message = `${otherwise} after ${this.#limits.topicTimeoutMs} ms`
        throw new RiverbankError('log_unavailable', message, { canRetry: true, cause })
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async #call<T>(doing: string, action: (admin: Admin) => Promise<T>): Promise<T> {
    if (this.#closed) throw new RiverbankError('log_unavailable', `cannot ${doing}: the log is closed`)
    if (this.#waiting >= this.#limits.adminQueue) {
      const message = `cannot ${doing}: ${this.#waiting} calls are waiting`
      throw new RiverbankError('log_unavailable', message, { canRetry: true })
    }
    this.#waiting += 1
    const mine = this.#turn.then(() => this.#attempt(action))
    this.#turn = mine.catch(() => undefined)
    try {
      return await mine
    } catch (error) {
      throw toLogError(error, doing)
    } finally {
      this.#waiting -= 1
    }
  }

  async #attempt<T>(action: (admin: Admin) => Promise<T>): Promise<T> {
    const reused = this.#admin !== null
    try {
      return await action(await this.#connect())
    } catch (error) {
      await this.#drop()
      // The missing topic may be another one, which the old connection remembers.
      if (!reused || protocolTypeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
    }
    try {
      return await action(await this.#connect())
    } catch (error) {
      await this.#drop()
      throw error
    }
  }

  async #connect(): Promise<Admin> {
    if (this.#admin === null) {
      this.#admin = this.#kafka.admin({ retry: kafkaRetry })
      await this.#admin.connect()
    }
    return this.#admin
  }

  async #drop(): Promise<void> {
    const admin = this.#admin
    this.#admin = null
    await admin?.disconnect().catch(() => undefined)
  }
}

async function propertiesOf(admin: Admin, topic: string, names: readonly string[]) {
  const { resources } = await admin.describeConfigs({
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: [...names] }],
    includeSynonyms: false,
  })
  return new Map(resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]))
}

function configOf({ replicationFactor, retentionMs, retentionBytes, maxRecordBytes }: TopicSpec) {
  // Kafka drops whole segments: with its defaults (1 GiB, 7 days) a topic would keep up to twice the retention.
  const segmentBytes = Math.min(1_073_741_824, Math.max(1_048_576, Math.floor(retentionBytes / 10)))
  const segmentMs = Math.max(60_000, Math.floor(retentionMs / 10))
  const settings: Record<string, string | number> = {
    'cleanup.policy': 'delete',
    'message.timestamp.type': 'LogAppendTime',
    // The broker keeps batches as they come: uncompressed, a batch could be too large, and its producer would try for
    // good.
    'compression.type': 'producer',
    'retention.ms': retentionMs,
    'retention.bytes': retentionBytes,
    'segment.bytes': segmentBytes,
    'segment.ms': segmentMs,
    'max.message.bytes': maxRecordBytes + recordOverheadBytes,
    // A majority must have a record before it counts as written; of one or two copies that is one.
    'min.insync.replicas': replicationFactor <= 2 ? 1 : Math.floor(replicationFactor / 2) + 1,
  }
  return Object.entries(settings).map(([name, value]) => ({ name, value: String(value) }))
}
