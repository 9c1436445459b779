import type { ExactParts, RecordFault, TopicFinding } from '../events/codec/record-parts.ts'

/** A record as the log holds it. `offset` grows by at least one per partition; it may have gaps. */
export interface LogRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** When the log accepted it, by the log's clock (Kafka: LogAppendTime). */
  readonly appendTimeMs: number
  readonly key: string | null
  readonly value: Uint8Array
  /** As text, without those that are null; of a name that comes more than once, the first. */
  readonly headers: Readonly<Record<string, string>>
  /** Left out where the other fields say all that the log holds. */
  readonly exact?: ExactParts
  /** It is no record: `value` are bytes that could not be read, key and headers are empty. */
  readonly fault?: RecordFault
}

export interface OutgoingRecord {
  readonly topic: string
  /** Decides the partition (murmur2, as Kafka's own clients do), unless `partition` is given. */
  readonly key: string
  readonly partition?: number
  readonly value: Uint8Array | string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent instead of key and headers, and of an empty value where that is null. The partition is still the key's. */
  readonly exact?: ExactParts
}

export type Position = Pick<LogRecord, 'partition' | 'offset'>

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /** Kafka only; the redis driver keeps one copy. */
  readonly replicationFactor: number
  readonly retentionMs: number
  /** Per partition. */
  readonly retentionBytes: number
  readonly maxRecordBytes: number
}

/** Readable offsets of one partition: `start` is the oldest, `end` is one past the newest (equal when empty). */
export interface PartitionRange {
  readonly partition: number
  readonly start: number
  readonly end: number
}

/** Records of one partition in offset order; never empty. */
export interface LogBatch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly LogRecord[]
  /** Where reading goes on: above the last record's offset, past markers that readers never see. */
  readonly next: number
  /** The log's end when the batch was read; `end - next` is the lag left. */
  readonly end: number
}

/** One partition, held by this member until `signal` is aborted. */
export interface PartitionAssignment {
  readonly topic: string
  readonly partition: number
  /** The group's committed position (the offset to read next), or null when it never committed. */
  readonly committed: number | null
  readonly range: PartitionRange
  readonly signal: AbortSignal
  /** Commits `next` for the group. Rejects with `fenced` when another member owns the partition. */
  commit(next: number): Promise<void>
}

/**
 * What a group member does with its partitions. Calls for one partition never overlap; those of different partitions
 * may. The next batch of a partition is delivered only after `batch` resolved.
 */
export interface GroupHandler {
  /**
   * Called once for each assignment, before its first batch. Answers the offset to read first. An answer outside the
   * readable range ends the consumption: `log_truncated` (below the start) or `log_recreated` (above the end).
   */
  assigned(assignment: PartitionAssignment): Promise<number>
  /**
   * Answers the offset to read next: `batch.next`, or a lower one to go back. The handler deals with poison itself: a
   * rejection other than `fenced` ends the consumption with that error.
   */
  batch(assignment: PartitionAssignment, batch: LogBatch): Promise<number>
  /** After the assignment's signal was aborted and its last batch has settled. */
  released?(assignment: PartitionAssignment): Promise<void>
}

export interface ConsumeOptions {
  readonly group: string
  readonly topics: readonly string[]
  readonly maxRecords: number
  readonly maxBytes: number
  /** How long a fetch may wait for data. */
  readonly maxWaitMs: number
  /** A member that is silent for this long loses its partitions. */
  readonly sessionTimeoutMs: number
  /** How many partitions one member works on at the same time. */
  readonly concurrency: number
}

export interface Subscription {
  /** Settles when it ended: resolves after `stop`, rejects with what ended it. */
  readonly finished: Promise<void>
  /** Delivers nothing more, waits for running handlers, gives the partitions back. Safe to call twice. */
  stop(): Promise<void>
}

export interface TailOptions {
  readonly topic: string
  /** `end`: only what comes from now on; else the first offset per partition (missing: the start). */
  readonly from: 'end' | ReadonlyMap<number, number>
  readonly maxRecords: number
  readonly maxWaitMs: number
}

/**
 * Error codes of a log: `log_unavailable` (canRetry), `log_full` (canRetry: retention may not drop what a group has not
 * read), `record_too_large`, `fenced`, `log_truncated`, `log_recreated`, `topic_missing`, `topic_mismatch`,
 * `log_refused` (the server refuses until a right or a setting changes).
 */
export interface EventLog {
  readonly driver: 'kafka' | 'redis'
  /** Creates the topic or checks that it has this many partitions (`topic_mismatch`). */
  createTopic(spec: TopicSpec): Promise<'created' | 'exists'>
  deleteTopic(topic: string): Promise<void>
  /** How the properties of an existing topic differ from its spec; empty when there is no such topic. */
  checkTopic(spec: TopicSpec): Promise<readonly TopicFinding[]>
  /** Ordered by partition; null when there is no such topic. */
  describeTopic(topic: string): Promise<readonly PartitionRange[] | null>
  /** Committed positions by partition; partitions without one are missing. */
  committed(group: string, topic: string): Promise<ReadonlyMap<number, number>>
  /** Members of the group on this topic; one that died counts until its session has timed out. */
  members(group: string, topic: string): Promise<number>
  /**
   * Resolves when every record is acknowledged by all replicas, with positions in the order given. Records of one
   * partition keep their order. After a rejection any part of them may be in the log.
   */
  publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]>
  /** A member of a consumer group: partitions are shared out among the members. */
  consume(options: ConsumeOptions, handler: GroupHandler): Promise<Subscription>
  /** A reader without a group: every partition, nothing committed. Resolves when positions are fixed. */
  tail(options: TailOptions, handler: (batch: LogBatch) => Promise<void>): Promise<Subscription>
  close(): Promise<void>
}
