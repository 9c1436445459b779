import type { Redis } from 'ioredis'
import type { EventLog, Subscription } from '../../../ports/log.ts'
import { connectRedis, refuseClusterNode, type ConnectionOptions } from '../server/connection.ts'
import { GroupMember } from './group-member.ts'
import { publishRecords } from './log-publisher.ts'
import { LogTail } from './log-tail.ts'
import { RedisTopics } from './log-topics.ts'
import { StreamReader } from './stream-reader.ts'

export interface RedisEventLogOptions {
  readonly url: string
  /** Prefix of every key. */
  readonly namespace: string
  /** A command without an answer for this long counts as failed. */
  readonly commandTimeoutMs: number
  /** Longest pause between two attempts to reconnect. Default 1000. */
  readonly reconnectMaxDelayMs?: number
}

/** The calls of the redis driver beyond the port: for operators and tests. */
export interface RedisEventLog extends EventLog {
  readonly driver: 'redis'
  /**
   * Moves the start of a partition, also past records that a group has not read: that one stops with `log_truncated`.
   */
  truncate(topic: string, partition: number, beforeOffset: number): Promise<void>
  /** Forgets a group that will not come back; until then the log trims no record that it has not read. */
  forgetGroup(group: string, topic: string): Promise<void>
}

/** A read may wait at least so long on the server: an append wakes it at once, so a shorter wait would only poll. */
const blockMsMin = 1_000

/**
 * The log on Redis Streams: one stream per partition, dense offsets, consumer groups by leases with a TTL. It needs
 * Redis 7 or Valkey. Connects before it resolves; rejects with `log_unavailable`, and with `invalid_config` for a node
 * of a cluster. One connection for commands, and one more for each consumption and tail.
 */
export async function openRedisEventLog(options: RedisEventLogOptions): Promise<RedisEventLog> {
  const { namespace, commandTimeoutMs } = options
  const connection: ConnectionOptions = {
    url: options.url,
    name: `${namespace}:log`,
    commandTimeoutMs,
    reconnectMaxDelayMs: options.reconnectMaxDelayMs ?? 1_000,
  }
  const redis = await connectRedis(connection, 'log_unavailable')
  // Its blocking reads wait for streams of many hash slots at once, and a lost node would end every partition
  // assignment.
  await refuseClusterNode(redis, 'log_unavailable', 'only states may live on one, the log needs a server of its own')
  const topics = new RedisTopics(redis, namespace)
  const subscriptions = new Set<Subscription>()

  const openReader = async (name: string, waitMs: number): Promise<StreamReader> => {
    const blockMs = Math.max(blockMsMin, waitMs)
    const own = { ...connection, name: `${namespace}:${name}`, commandTimeoutMs: commandTimeoutMs + blockMs }
    return new StreamReader(await connectRedis(own, 'log_unavailable'), redis, blockMs)
  }
  const subscribe = async (reader: StreamReader, start: () => Promise<Subscription>): Promise<Subscription> => {
    try {
      const subscription = await start()
      subscriptions.add(subscription)
      const forget = (): void => void subscriptions.delete(subscription)
      subscription.finished.then(forget, forget)
      return subscription
    } catch (error) {
      reader.close()
      throw error
    }
  }

  return {
    driver: 'redis',
    createTopic: (spec) => topics.create(spec),
    // Its topics have only the properties that each creation sets anew.
    checkTopic: () => Promise.resolve([]),
    deleteTopic: (topic) => topics.delete(topic),
    describeTopic: async (topic) => {
      const info = await topics.fresh(topic)
      const states = info === null ? null : await topics.states(info)
      return states?.map(({ partition, start, end }) => ({ partition, start, end })) ?? null
    },
    committed: (group, topic) => topics.committed(group, topic),
    members: (group, topic) => topics.members(group, topic),
    publish: (records) => publishRecords(redis, topics, records),
    consume: async (consumption, handler) => {
      const reader = await openReader(`group:${consumption.group}`, consumption.maxWaitMs)
      const parts = { redis, topics, reader, namespace, options: consumption, handler }
      return subscribe(reader, () => GroupMember.join(parts))
    },
    tail: async (tailing, handler) => {
      const reader = await openReader(`tail:${tailing.topic}`, tailing.maxWaitMs)
      return subscribe(reader, () => LogTail.start(topics, reader, tailing, handler))
    },
    truncate: (topic, partition, beforeOffset) => topics.truncate(topic, partition, beforeOffset),
    forgetGroup: (group, topic) => topics.unregister(group, topic),
    close: () => closeAll(redis, subscriptions),
  }
}

async function closeAll(redis: Redis, subscriptions: ReadonlySet<Subscription>): Promise<void> {
  await Promise.all([...subscriptions].map((subscription) => subscription.stop()))
  redis.disconnect()
}
