import { Kafka, logLevel } from 'kafkajs'
import { openKafkaEventLog } from '../../src/edges/kafka/event-log.ts'
import { kafkaMissing, startTestKafka } from '../support/kafka-broker.ts'
import { eventLogContract } from './event-log-suite.ts'
import type { EventLogFixture } from './event-log-suite.ts'

/** One broker for the whole file: starting it costs more than all its topics. */
async function makeFixture(): Promise<EventLogFixture> {
  const broker = await startTestKafka()
  const brokers = [broker.brokers]
  return {
    sessionTimeoutMs: 2_000,
    deadlineMs: 20_000,
    open: () => openKafkaEventLog({ brokers, clientId: 'riverbank.test' }),
    restartServer: () => broker.restart(),
    truncate: (topic, partition, beforeOffset) => deleteBefore(brokers, topic, partition, beforeOffset),
    cleanup: () => broker.remove(),
  }
}

async function deleteBefore(brokers: string[], topic: string, partition: number, offset: number): Promise<void> {
  const admin = new Kafka({ brokers, clientId: 'riverbank.test.admin', logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
  } finally {
    await admin.disconnect()
  }
}

eventLogContract('kafka', makeFixture, kafkaMissing())
