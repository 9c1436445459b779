import type { EventLog, Subscription } from '../../ports/log.ts'
import { RiverbankError } from '../../base/errors.ts'
import { KafkaAdmin } from './admin.ts'
import { replaceBatchCoding } from './batch/kafkajs-batches.ts'
import { createClient, kafkaLimits, type KafkaLogOptions } from './client.ts'
import { startConsumption } from './group/consumption.ts'
import { forbidOffsetResets } from './group/offset-reset.ts'
import { KafkaPublisher } from './publisher.ts'
import { startTail } from './group/tail.ts'
import { topicFindings } from './topic-check.ts'

/**
 * The log on Redpanda or Apache Kafka. Resolves when a broker has answered; rejects with `log_unavailable`.
 * Beyond the port's codes it has `log_refused`: the brokers refuse until an operator changes a right or a setting.
 */
export async function openKafkaEventLog(options: KafkaLogOptions): Promise<EventLog> {
  forbidOffsetResets()
  const limits = { ...kafkaLimits, ...options.limits }
  await replaceBatchCoding(limits)
  const kafka = createClient(options, limits)
  const admin = new KafkaAdmin(kafka, limits)
  const publisher = new KafkaPublisher(kafka, admin, limits)
  const context = { kafka, admin, limits, logger: options.logger }
  const subscriptions = new Set<Subscription>()
  let closed = false

  const track = async (starting: Promise<Subscription>): Promise<Subscription> => {
    if (closed) throw new RiverbankError('log_unavailable', 'the log is closed')
    const subscription = await starting
    subscriptions.add(subscription)
    const forget = () => void subscriptions.delete(subscription)
    subscription.finished.then(forget, forget)
    return subscription
  }

  try {
    await admin.ping()
  } catch (error) {
    await admin.close()
    throw error
  }
  return {
    driver: 'kafka',
    createTopic: (spec) => admin.createTopic(spec),
    deleteTopic: (topic) => admin.deleteTopic(topic),
    checkTopic: async (spec) => {
      const found = await admin.properties(spec.topic)
      return found === null ? [] : topicFindings(spec, found, options.brokers)
    },
    describeTopic: (topic) => admin.describeTopic(topic),
    committed: (group, topic) => admin.committed(group, topic),
    members: (group) => admin.members(group),
    publish: (records) => publisher.publish(records),
    consume: (consume, handler) => track(startConsumption(context, consume, handler)),
    tail: (tail, handler) => track(startTail(context, tail, handler)),
    close: async () => {
      closed = true
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()))
      await publisher.close()
      await admin.close()
    },
  }
}
