import { Kafka, logLevel } from 'kafkajs'
import { answeringSockets, measureByLoop } from './answering.ts'

export interface ProbeOptions {
  readonly brokers: readonly string[]
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
}

/**
 * Resolves when the brokers answer for their metadata and for groups (a new broker creates the groups' topic of
 * positions at the first request); rejects with kafkajs's error. One try.
 */
export async function probeKafka({ brokers, connectTimeoutMs, requestTimeoutMs }: ProbeOptions): Promise<void> {
  measureByLoop()
  const kafka = new Kafka({
    brokers: [...brokers],
    clientId: 'riverbank.probe',
    connectionTimeout: connectTimeoutMs,
    socketFactory: answeringSockets(connectTimeoutMs),
    requestTimeout: requestTimeoutMs,
    enforceRequestTimeout: true,
    logLevel: logLevel.NOTHING,
    retry: { retries: 0, initialRetryTime: 50 },
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    await admin.describeCluster()
    await admin.fetchOffsets({ groupId: 'riverbank.probe' })
  } finally {
    await admin.disconnect()
  }
}
