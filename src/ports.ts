// Between what Riverbank decides and what it talks to: contracts that every driver keeps (test/contract, on real servers).
import type { Explanations } from './core/explainer.ts'
import type { Decider } from './core/policy.ts'
import type { ExactParts, RecordFault, TopicFinding } from './core/record-parts.ts'

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
  /** Left out where the others say all that the log holds. */
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
export interface Claim {
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
   * Called once for each claim, before its first batch. Answers the offset to read first. An answer outside the
   * readable range ends the consumption: `log_truncated` (below the start) or `log_recreated` (above the end).
   */
  assigned(claim: Claim): Promise<number>
  /**
   * Answers the offset to read next: `batch.next`, or a lower one to go back. Poison must be handled inside: a
   * rejection other than `fenced` ends the consumption with that error.
   */
  batch(claim: Claim, batch: LogBatch): Promise<number>
  /** After the claim's signal was aborted and its last batch has settled. */
  released?(claim: Claim): Promise<void>
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
 * Error codes of a log: `log_unavailable` (canRetry), `log_full` (canRetry: retention may not drop what a group has
 * not read), `record_too_large`, `fenced`, `log_truncated`, `log_recreated`, `topic_missing`, `topic_mismatch`,
 * `log_refused` (the server will not, until somebody changes a right or a setting).
 */
export interface EventLog {
  readonly driver: 'kafka' | 'redis'
  /** Creates the topic or checks that it has this many partitions (`topic_mismatch`). */
  createTopic(spec: TopicSpec): Promise<'created' | 'exists'>
  deleteTopic(topic: string): Promise<void>
  /** Where the properties of an existing topic are not what its spec asks for; empty when there is no such topic. */
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

/** Names one entity instance, such as entity `customer`, id `4961`. */
export type EntityKey = { readonly entity: string; readonly id: string }

export interface StateWrite {
  readonly key: EntityKey
  /** The version the new state was computed from: {@link stateVersion} of the old blob, null when there was none. */
  readonly expected: Uint8Array | null
  readonly blob: Uint8Array
  readonly ttlMs: number
}

/** Names of memos: those of the states (what made them), an unfinished rebuild, the lake beside them. */
const ofStates = { featureSet: 'feature-set', log: 'log', accepts: 'accepts' } as const
export const stateMemos = { ...ofStates, rebuild: 'rebuild', lake: 'lake' } as const
/** Where entity states live. Errors: `state_unavailable` (canRetry). */
export interface StateStore {
  /**
   * Changes whenever the store may have lost acknowledged writes: with a reconnect, and when positions turn out to be
   * those of another life, because the store was emptied and filled again. Whoever caches states drops them then.
   */
  readonly epoch: number
  /** Blobs in the order of the keys, null where there is none. */
  load(keys: readonly EntityKey[]): Promise<readonly (Uint8Array | null)[]>
  /** Each write by itself is atomic: true where the stored version was the expected one, or already the new one. */
  compareAndSet(writes: readonly StateWrite[]): Promise<readonly boolean[]>
  /** The next offset to apply per partition of a topic, as far as this store knows. */
  positions(topic: string): Promise<ReadonlyMap<number, number>>
  /**
   * Raises the position; never lowers it. With `from`, only where the position is at least that, in one step: false
   * when the store knows less, so it has lost what it held (emptied under a connection that goes on). False, whatever
   * the position, in another life than the one whose positions were read here.
   */
  advance(topic: string, partition: number, next: number, from?: number): Promise<boolean>
  /** What blobs hold (`StateLayout` as JSON), by the layout they name. On each node: lost only with all its states. */
  layouts(): Promise<ReadonlyMap<number, string>>
  /** Kept for good, and before the first state of the layout is written; what a layout names never changes. */
  keepLayouts(layouts: ReadonlyMap<number, string>): Promise<void>
  /** A short text about all states, such as the feature set that they belong to; null when there is none. */
  memo(name: string): Promise<string | null>
  /** Writes a memo (null removes it) where it is `before`, in one step; answers whether it was, or is `after` already. */
  replaceMemo(name: string, before: string | null, after: string | null): Promise<boolean>
  close(): Promise<void>
}

/** One loaded model. Errors: `model_refused` at load, `score_failed` (canRetry) when it could not be run. */
export interface Scorer {
  readonly name: string
  readonly version: string
  /** The feature service that makes its vectors. */
  readonly service: string
  readonly thresholds: { readonly review: number; readonly block: number }
  /** Left out: its decisions are not explained. */
  readonly explanations?: Explanations
  /** A policy that decides instead of the thresholds alone. */
  readonly decider?: Decider
  /** `vectors`: `rows` × the service's length, finite (`vector_not_finite`). One probability per row; NaN: not finite. */
  score(vectors: Float32Array, rows: number): Promise<Float32Array>
  close(): Promise<void>
}

export type Clock = { nowMs(): number }

export type Labels = Readonly<Record<string, string>>
type Gauge = { set(value: number, labels?: Labels): void; clear(): void }

/** Prometheus conventions: base units, `_total` on counters, no ids as label values. */
export interface Meter {
  counter(name: string, help: string, labels?: readonly string[]): { add(value: number, labels?: Labels): void }
  gauge(name: string, help: string, labels?: readonly string[]): Gauge
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly string[],
  ): { observe(value: number, labels?: Labels): void }
  /** The text exposition format, with its content type. */
  expose(): Promise<{ readonly contentType: string; readonly body: string }>
}

export type Fields = Readonly<Record<string, unknown>>

/** Structured log lines; never on stdout, which belongs to results. */
export interface Logger {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  child(fields: Fields): Logger
}

/** TIMESTAMP is UTC without a zone, to the microsecond. */
export type ColumnType = 'BOOLEAN' | 'BIGINT' | 'DOUBLE' | 'VARCHAR' | 'BLOB' | 'TIMESTAMP'

export interface Column {
  readonly name: string
  readonly type: ColumnType
}

/**
 * The values of one column, in row order. Numbers, booleans (0 and 1) and timestamps (milliseconds) are a
 * Float64Array in which NaN is NULL; the array may be longer than the table has rows.
 */
export interface ColumnData extends Column {
  readonly values: Float64Array | readonly (string | null)[] | readonly (Uint8Array | null)[]
}

/** Writes tables as Parquet. Errors: `lake_write_failed` (canRetry), `lake_rows_refused`: no disk is to blame for that. */
export interface TableWriter {
  /** Writes a new file; every double keeps its bits, -0 included. Whoever calls syncs and renames it. */
  write(path: string, columns: readonly ColumnData[], rows: number): Promise<void>
  /** Writes a new file with the rows of others of one schema, in the order given; answers how many. */
  merge(paths: readonly string[], path: string): Promise<number>
  close(): Promise<void>
}

/** What SQL may see: made from one version of the lake, the same for the whole of a query. */
export interface SqlCatalog {
  /** Changes whenever anything else here does. */
  readonly version: string
  /** Statements that create the relations, in order. */
  readonly setup: readonly string[]
  readonly relations: readonly string[]
  readonly tableFunctions: readonly string[]
  /** Folders with the files that `setup` names. */
  readonly directories: readonly string[]
}

export type JsonType = 'number' | 'string' | 'boolean' | 'array' | 'object'

/** By type of column: see OpenAPI (serve/sql-routes.ts). A BIGINT or HUGEINT beyond 2^53 is `sql_invalid`. */
export interface SqlResult {
  readonly columns: readonly { readonly name: string; readonly type: string; readonly json: JsonType }[]
  readonly rows: readonly (readonly unknown[])[]
  readonly rowCount: number
  /** True when the query had more rows than the limit. */
  readonly truncated: boolean
  readonly elapsedMs: number
}

/** Errors: `sql_invalid`, `_forbidden`, `_timeout`, `_busy`, `_starting` (these canRetry), `_too_large`, `_cancelled`, `_failed`. */
export interface SqlRunner {
  run(sql: string, options?: { readonly signal?: AbortSignal }): Promise<SqlResult>
  close(): Promise<void>
}
