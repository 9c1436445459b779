import { names, type Config } from '../settings/config.ts'
import type { EventLog, PartitionRange, TopicSpec } from '../../../ports/log.ts'

const mebibyte = 1_048_576

/** The three topics of an installation. Scores and dead letters hold an event and more: they are larger. */
export function topicSpecs(config: Config): TopicSpec[] {
  const { topics } = names(config)
  const shared = {
    partitions: config.PARTITIONS,
    replicationFactor: config.REPLICATION_FACTOR,
    retentionMs: config.RETENTION_MS,
    retentionBytes: config.RETENTION_BYTES,
  }
  return [
    { ...shared, topic: topics.events, maxRecordBytes: mebibyte },
    { ...shared, topic: topics.scores, maxRecordBytes: mebibyte },
    // Base64 of the largest record, and its envelope.
    { ...shared, topic: topics.deadLetters, maxRecordBytes: 2 * mebibyte },
  ]
}

export async function createTopics(config: Config, log: EventLog): Promise<{ topic: string; result: string }[]> {
  const results = []
  for (const spec of topicSpecs(config)) results.push({ topic: spec.topic, result: await log.createTopic(spec) })
  return results
}

export interface PartitionLag extends PartitionRange {
  readonly topic: string
  readonly group: string
  readonly committed: number | null
  readonly lag: number
}

/** Lag of every group on every partition it reads. */
export async function describeLag(config: Config, log: EventLog): Promise<PartitionLag[]> {
  const { topics, groups } = names(config)
  const readers = [
    { topic: topics.events, group: groups.process },
    { topic: topics.events, group: groups.materialize },
    { topic: topics.scores, group: groups.materialize },
  ]
  const lags: PartitionLag[] = []
  for (const { topic, group } of readers) {
    const [ranges, committed] = await Promise.all([log.describeTopic(topic), log.committed(group, topic)])
    for (const range of ranges ?? []) {
      const position = committed.get(range.partition) ?? null
      lags.push({ ...range, topic, group, committed: position, lag: range.end - (position ?? range.start) })
    }
  }
  return lags
}
