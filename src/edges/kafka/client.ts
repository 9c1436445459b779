import { Kafka, logLevel, type LogEntry } from 'kafkajs'
import { answeringSockets, measureByLoop } from './answering.ts'
import type { Logger } from '../../ports/telemetry.ts'

export interface KafkaLogOptions {
  /** `host:port` of some brokers; the client finds the others through them. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly logger?: Logger
  readonly limits?: Partial<KafkaLimits>
}

export interface KafkaLimits {
  readonly connectTimeoutMs: number
  /** An answer counts as lost after so long. Longer than `ackTimeoutMs`, so that the broker gives up first. */
  readonly requestTimeoutMs: number
  /** How long the broker waits for its replicas. */
  readonly ackTimeoutMs: number
  /** The limit until a created topic can be used, and a deleted one is gone. */
  readonly topicTimeoutMs: number
  /** How long the client caches the number of partitions and the size limit of a topic. */
  readonly topicFactsMaxAgeMs: number
  /** Administrative calls waiting for the one connection they share. */
  readonly adminQueue: number
  /** The size of one produce request. The broker's own limit (socket.request.max.bytes) is 100 MiB. */
  readonly requestBytes: number
  readonly requestRecords: number
  /** The size of records accepted and not yet acknowledged; the client refuses more with `log_unavailable`. */
  readonly queuedBytes: number
  /** How long the group waits for a member that finishes its batch before it goes on without it. */
  readonly rebalanceTimeoutMs: number
  /** How long a consumption tries to reach an unreachable log before it ends with `log_unavailable`. */
  readonly outageMs: number
  /** Longest pause between two such tries. */
  readonly outageDelayMaxMs: number
  /** How long `stop` and `close` wait for running handlers and open requests. */
  readonly drainMs: number
  readonly tailSessionTimeoutMs: number
  readonly tailFetchBytes: number
  /**
   * The size of one batch after decompression, and the size from which a fetch reads no further batch of a partition.
   */
  readonly decodedBytesMax: number
  /** Records of one batch. */
  readonly recordsMax: number
}

export const kafkaLimits: KafkaLimits = {
  connectTimeoutMs: 3_000,
  requestTimeoutMs: 10_000,
  ackTimeoutMs: 8_000,
  topicTimeoutMs: 15_000,
  topicFactsMaxAgeMs: 30_000,
  adminQueue: 64,
  requestBytes: 4 * 1_048_576,
  requestRecords: 2_000,
  queuedBytes: 64 * 1_048_576,
  rebalanceTimeoutMs: 30_000,
  outageMs: 10 * 60_000,
  outageDelayMaxMs: 2_000,
  drainMs: 10_000,
  tailSessionTimeoutMs: 10_000,
  tailFetchBytes: 4 * 1_048_576,
  decodedBytesMax: 16 * 1_048_576,
  recordsMax: 250_000,
}

/** Few tries inside kafkajs, because every caller tries again with its own bound. */
export const kafkaRetry = { retries: 2, initialRetryTime: 100, maxRetryTime: 500, factor: 0.2, multiplier: 2 } as const

/** kafkajs with every option that matters set explicitly. */
export function createClient({ brokers, clientId, logger }: KafkaLogOptions, limits: KafkaLimits): Kafka {
  measureByLoop()
  return new Kafka({
    brokers: [...brokers],
    clientId,
    connectionTimeout: limits.connectTimeoutMs,
    socketFactory: answeringSockets(limits.connectTimeoutMs),
    authenticationTimeout: limits.requestTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    enforceRequestTimeout: true,
    retry: kafkaRetry,
    logLevel: logger === undefined ? logLevel.NOTHING : logLevel.WARN,
    // kafkajs logs every rebalance and every reconnect as an error; real failures come back as rejections.
    logCreator:
      () =>
      ({ log, label, namespace }: LogEntry) =>
        logger?.debug(log.message, { client: 'kafkajs', level: label, namespace, error: log['error'] }),
  })
}
