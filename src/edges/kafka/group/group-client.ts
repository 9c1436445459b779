import { PartitionAssigners, type Consumer, type Kafka } from 'kafkajs'
import type { ConsumeOptions } from '../../../ports/log.ts'
import { kafkaRetry, type KafkaLimits } from '../client.ts'

export interface GroupClientOptions {
  readonly kafka: Kafka
  readonly limits: KafkaLimits
  readonly options: ConsumeOptions
  readonly fetchBytesPerPartition: number
}

/** Three heartbeats may get lost before a session times out. */
export function heartbeatMsOf({ sessionTimeoutMs }: ConsumeOptions): number {
  return Math.max(100, Math.min(3_000, Math.floor(sessionTimeoutMs / 5)))
}

export function createGroupClient({ kafka, limits, options, fetchBytesPerPartition }: GroupClientOptions): Consumer {
  return kafka.consumer({
    groupId: options.group,
    partitionAssigners: [PartitionAssigners.roundRobin],
    sessionTimeout: options.sessionTimeoutMs,
    rebalanceTimeout: Math.max(limits.rebalanceTimeoutMs, options.sessionTimeoutMs),
    heartbeatInterval: heartbeatMsOf(options),
    metadataMaxAge: limits.topicFactsMaxAgeMs,
    allowAutoTopicCreation: false,
    minBytes: 1,
    maxBytes: Math.max(options.maxBytes, fetchBytesPerPartition),
    maxBytesPerPartition: fetchBytesPerPartition,
    maxWaitTimeInMs: options.maxWaitMs,
    readUncommitted: false,
    rackId: '',
    // The consumption makes a new session, with its own bound; a restart inside kafkajs would keep stale positions.
    retry: { ...kafkaRetry, restartOnFailure: () => Promise.resolve(false) },
  })
}
