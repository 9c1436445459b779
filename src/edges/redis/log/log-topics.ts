import type { Redis } from 'ioredis'
import { RiverbankError } from '../../../base/errors.ts'
import type { PartitionRange, TopicSpec } from '../../../ports/log.ts'
import { redisFailure } from '../server/connection.ts'
import { membersScript } from './group-scripts.ts'
import { entryFormat } from './log-frame.ts'
import { partitionKeys, topicKeys, type PartitionKeys } from './log-keys.ts'
import {
  adoptScript,
  createTopicScript,
  dropPartitionScript,
  initPartitionScript,
  truncateScript,
} from './log-scripts.ts'
import { textsIn } from '../server/reply.ts'

export interface TopicInfo {
  readonly topic: string
  /** Digits; grows with each creation of the topic. */
  readonly incarnation: string
  readonly partitions: readonly PartitionKeys[]
  readonly retentionBytes: number
  readonly maxRecordBytes: number
}

export interface PartitionState extends PartitionRange {
  readonly incarnation: string
  readonly bytes: number
}

/** The topics of one namespace: their ranges, and the positions that groups have committed. */
export class RedisTopics {
  readonly #redis: Redis
  readonly #namespace: string
  /** A cache; an entry goes when a script answers that the topic was created anew. */
  readonly #known = new Map<string, TopicInfo>()

  constructor(redis: Redis, namespace: string) {
    this.#redis = redis
    this.#namespace = namespace
  }

  async create(spec: TopicSpec): Promise<'created' | 'exists'> {
    const { topic, partitions, retentionMs, retentionBytes, maxRecordBytes } = spec
    const keys = [topicKeys(this.#namespace, topic).topic]
    return this.#guarded(`creating topic ${topic}`, async () => {
      const limits = [retentionMs, retentionBytes]
      const reply = await createTopicScript.run(this.#redis, keys, [partitions, ...limits, maxRecordBytes])
      const [created, found, incarnation, format] = textsIn(reply)
      refuseOtherFormat(topic, format)
      if (Number(found) !== partitions) {
        const why = `topic ${topic} has ${found} partitions, ${partitions} are asked for`
        throw new RiverbankError('topic_mismatch', why)
      }
      // Also when it exists: its creator may have died half-way.
      for (const keysOfOne of this.#partitions(topic, partitions)) {
        await initPartitionScript.run(this.#redis, inOrder(keysOfOne), [incarnation ?? '', ...limits])
      }
      this.forget(topic)
      return created === '1' ? 'created' : 'exists'
    })
  }

  async delete(topic: string): Promise<void> {
    await this.#guarded(`deleting topic ${topic}`, async () => {
      this.forget(topic)
      const info = await this.find(topic)
      this.forget(topic)
      if (info === null) return
      await this.#redis.unlink(topicKeys(this.#namespace, topic).topic)
      for (const keys of info.partitions) {
        await dropPartitionScript.run(this.#redis, inOrder(keys), [info.incarnation])
      }
    })
  }

  forget(topic: string): void {
    this.#known.delete(topic)
  }

  /**
   * Finds a topic in the cache or on the server; null when there is no such topic. Errors: `topic_mismatch` for a topic
   * with entries of another format.
   */
  async find(topic: string): Promise<TopicInfo | null> {
    const known = this.#known.get(topic)
    if (known !== undefined) return known
    const key = topicKeys(this.#namespace, topic).topic
    return this.#guarded(`looking up topic ${topic}`, async () => {
      const fields = ['incarnation', 'partitions', 'retentionBytes', 'maxRecordBytes', 'format'] as const
      const found = await this.#redis.hmget(key, ...fields)
      const [incarnation, partitions, retentionBytes, maxRecordBytes, format] = found
      if (typeof incarnation !== 'string') return null
      refuseOtherFormat(topic, format)
      const info: TopicInfo = {
        topic,
        incarnation,
        partitions: this.#partitions(topic, Number(partitions)),
        retentionBytes: Number(retentionBytes),
        maxRecordBytes: Number(maxRecordBytes),
      }
      this.#known.set(topic, info)
      return info
    })
  }

  /** Like {@link find}, rejects with `topic_missing`. */
  async require(topic: string): Promise<TopicInfo> {
    const info = await this.find(topic)
    if (info === null) throw new RiverbankError('topic_missing', `there is no topic ${topic}`)
    return info
  }

  /** Asks the server, never the cache. */
  async fresh(topic: string): Promise<TopicInfo | null> {
    this.forget(topic)
    return this.find(topic)
  }

  async states(info: TopicInfo): Promise<readonly PartitionState[]> {
    return Promise.all(info.partitions.map((_, partition) => this.state(info, partition)))
  }

  async state(info: TopicInfo, partition: number): Promise<PartitionState> {
    return this.#guarded(`describing ${info.topic}/${partition}`, async () => {
      const fields = ['incarnation', 'start', 'end', 'bytes'] as const
      const [incarnation, start, end, bytes] = await this.#redis.hmget(
        info.partitions[partition]?.meta ?? '',
        ...fields,
      )
      if (incarnation !== info.incarnation) {
        this.forget(info.topic)
        const why = `partition ${partition} of ${info.topic} is being created or deleted`
        throw new RiverbankError('log_unavailable', why, { canRetry: true })
      }
      return { partition, incarnation, start: Number(start), end: Number(end), bytes: Number(bytes) }
    })
  }

  /** Makes entries that another program appended part of the log, so that groups can read past them and commit. */
  async adopt(info: TopicInfo, partition: number): Promise<void> {
    const keys = info.partitions[partition]
    if (keys === undefined) return
    await this.#guarded(`reading what others wrote into ${info.topic}/${partition}`, () =>
      adoptScript.run(this.#redis, inOrder(keys), [info.incarnation]),
    )
  }

  async committed(group: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const info = await this.fresh(topic)
    const positions = new Map<number, number>()
    if (info === null) return positions
    await this.#guarded(`reading the positions of ${group}`, async () => {
      const found = await Promise.all(info.partitions.map((keys) => this.#redis.hget(keys.groups, group)))
      for (const [partition, position] of found.entries()) {
        if (typeof position === 'string' && position !== '') positions.set(partition, Number(position))
      }
    })
    return positions
  }

  /** Counts the members by the server's clock, which also times their beats. */
  async members(group: string, topic: string): Promise<number> {
    const keys = [topicKeys(this.#namespace, topic).members(group)]
    return this.#guarded(`counting the members of ${group}`, async () =>
      Number(await membersScript.run(this.#redis, keys, [])),
    )
  }

  /** From now on the log keeps all records that this group has not read. */
  async register(group: string, info: TopicInfo): Promise<void> {
    await this.#guarded(`registering group ${group}`, async () => {
      await Promise.all(info.partitions.map((keys) => this.#redis.hsetnx(keys.groups, group, '')))
    })
  }

  /** Forgets a group that will not come back: the log may trim records that it has not read. */
  async unregister(group: string, topic: string): Promise<void> {
    const info = await this.require(topic)
    await this.#guarded(`forgetting group ${group}`, async () => {
      await Promise.all(info.partitions.map((keys) => this.#redis.hdel(keys.groups, group)))
    })
  }

  /** Moves the start of a partition, also past records that a group has not read: it stops with `log_truncated`. */
  async truncate(topic: string, partition: number, beforeOffset: number): Promise<void> {
    const info = await this.require(topic)
    const keys = info.partitions[partition]
    if (keys === undefined) throw new RiverbankError('topic_missing', `${topic} has no partition ${partition}`)
    await this.#guarded(`truncating ${topic}/${partition}`, () =>
      truncateScript.run(this.#redis, inOrder(keys), [beforeOffset]),
    )
  }

  #partitions(topic: string, count: number): PartitionKeys[] {
    return Array.from({ length: count }, (_, partition) => partitionKeys(this.#namespace, topic, partition))
  }

  async #guarded<Value>(doing: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work()
    } catch (error) {
      throw redisFailure('log_unavailable', doing, error)
    }
  }
}

/** Read as ours, each of its records would become a dead letter. */
function refuseOtherFormat(topic: string, format: string | null | undefined): void {
  if (format === entryFormat) return
  const why = `topic ${topic} holds entries that another version wrote: this one reads format ${entryFormat}`
  throw new RiverbankError('topic_mismatch', why)
}

export function inOrder(keys: PartitionKeys): string[] {
  return [keys.stream, keys.meta, keys.groups, keys.segments]
}
