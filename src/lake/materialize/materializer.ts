import { randomUUID } from 'node:crypto'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { EventCatalog } from '../../events/event.ts'
import { unlessStalled } from '../../isolation/stall.ts'
import type { StoreMetadata, Trial } from '../../isolation/trial.ts'
import type { Clock } from '../../ports/clock.ts'
import type { PartitionAssignment, GroupHandler, LogBatch, LogRecord } from '../../ports/log.ts'
import type { TableWriter } from '../../ports/tables.ts'
import type { Logger, Meter } from '../../ports/telemetry.ts'
import { partitionKey } from '../commit/commit.ts'
import { eventTable, readEventRow } from '../tables/event-table.ts'
import { commitToGroup, flushPartition, takeOwnership } from './flush.ts'
import { removeOrphans } from './janitor.ts'
import type { Lake } from '../commit/lake.ts'
import { lakeMetrics } from './metrics.ts'
import type { LakeMetrics } from './metrics.ts'
import { PartitionBuffer } from './partition-buffer.ts'
import type { PlacedRow } from './partition-buffer.ts'
import { judged, PartitionTrials } from './partition-trials.ts'
import type { LakeSchema } from '../tables/lake-schema.ts'
import { scoreTables } from '../tables/score-table.ts'
import type { WritePoint } from '../files/table-files.ts'

export interface MaterializerOptions {
  readonly lake: Lake
  readonly writer: TableWriter
  readonly topics: { readonly events: string; readonly scores: string }
  readonly catalog: EventCatalog
  readonly schema: LakeSchema
  /** Rows of one partition that are written at once. */
  readonly flushRows: number
  /** Rows are written after this time even if they are few. */
  readonly flushMs: number
  /** Bytes of records held by all partitions together; the partition that exceeds it is written. */
  readonly bufferBytes: number
  /** Age of an orphaned file that is deleted when its partition is assigned. */
  readonly orphanGraceMs: number
  /** On the loop clock: writing a file or taking a partition must end within it (`handler_stalled`). */
  readonly stallMs: number
  /** Counts deaths, so that no record ends this role for good; null counts none. */
  readonly storeMetadata: StoreMetadata | null
  readonly clock: Clock
  readonly meter: Meter
  readonly logger: Logger
  /** A flush failed while no batch was there to carry the error: the role should end. Called at most once. */
  readonly onFailure?: (error: unknown) => void
  /** Tests stop the process here. */
  readonly onPoint?: (point: WritePoint) => Promise<void>
}

export interface Materializer extends GroupHandler {
  /** Writes everything that is buffered. */
  flush(): Promise<void>
  /** Flushes, and takes no more rows. The next owner reads later records again. */
  stop(): Promise<void>
}

/**
 * Copies the log into the lake, every offset once (I5). The manifest is the truth: reading resumes where it ends, and
 * each partition assignment takes ownership there, so that the lake refuses a former owner's late commit
 * (`lake_conflict`). The consumer group's commit comes after, for the log's retention and for lag.
 */
export function createMaterializer(options: MaterializerOptions): Materializer {
  const member = new Member(options)
  return {
    assigned: (assignment) => member.assigned(assignment),
    batch: (assignment, batch) => member.batch(assignment, batch),
    released: (assignment) => member.released(assignment),
    flush: () => member.flush(),
    stop: () => member.stop(),
  }
}

class Member {
  private readonly options: MaterializerOptions
  private readonly metrics: LakeMetrics
  private readonly place: (record: LogRecord) => PlacedRow
  private readonly trials: PartitionTrials
  private readonly partitions = new Map<string, PartitionBuffer>()
  private readonly timers = new Map<PartitionBuffer, NodeJS.Timeout>()
  private failure: Error | null = null
  private isStopped = false

  constructor(options: MaterializerOptions) {
    this.options = options
    this.metrics = lakeMetrics(options.meter)
    this.place = rowPlacement(options)
    this.trials = new PartitionTrials(options.storeMetadata, options.logger)
  }

  async assigned(assignment: PartitionAssignment): Promise<number> {
    const next = await unlessStalled('taking a partition', this.options.stallMs, this.take(assignment))
    await this.trials.begin(assignment, next)
    return next
  }

  private async take(assignment: PartitionAssignment): Promise<number> {
    const { lake, logger, clock, orphanGraceMs } = this.options
    const { topic, partition } = assignment
    const owner = randomUUID()
    const key = partitionKey(topic, partition)
    this.forget(key)
    await takeOwnership(lake, { topic, partition, owner })
    const covered = await lake.covered(topic, partition)
    const grace = { graceMs: orphanGraceMs, nowMs: clock.nowMs(), logStart: assignment.range.start }
    const orphans = await removeOrphans(lake, { topic, partition, ...grace })
    if (orphans.length > 0) logger.warn('removed orphaned lake files', { topic, partition, orphans })
    await lake.log.trim()
    const buffer = new PartitionBuffer(assignment, owner, covered)
    this.partitions.set(key, buffer)
    // The last owner died between lake and group commit; without new records no later flush would commit to the group.
    if (covered !== null && covered > (assignment.committed ?? assignment.range.start))
      await commitToGroup(buffer, covered, logger)
    return buffer.position
  }

  async batch(assignment: PartitionAssignment, { records, next, topic, partition }: LogBatch): Promise<number> {
    const buffer = this.partitions.get(partitionKey(topic, partition))
    if (buffer?.assignment !== assignment || this.isStopped) {
      throw new RiverbankError('fenced', `partition ${partition} of ${topic} is not held by this materializer`)
    }
    return buffer.serially(async () => {
      if (this.failure !== null) throw this.failure
      if (buffer.rewindTo === null) {
        await this.add(buffer, records, next).catch((error: unknown) => this.giveUp(buffer, error))
      }
      // Reading on reaches a position above `next` (another writer covered more), and skips such records.
      const answer = Math.min(buffer.rewindTo ?? next, next)
      buffer.rewindTo = null
      return answer
    })
  }

  private async add(buffer: PartitionBuffer, records: readonly LogRecord[], next: number): Promise<void> {
    const fresh = records.filter(({ offset }) => offset >= buffer.position)
    const trial = this.trials.suspicious(buffer.assignment)
    if (trial !== null) return this.addAlone(buffer, fresh, next, trial)
    for (const record of fresh) buffer.add(record, this.place(record))
    buffer.position = Math.max(buffer.position, next)
    this.gauge()
    if (this.isFull(buffer)) await this.write(buffer)
    else this.startTimer(buffer)
  }

  /** Adds records one by one, each with its mark; writes them together, unless a process ended doing that. */
  private async addAlone(buffer: PartitionBuffer, records: readonly LogRecord[], next: number, trial: Trial) {
    for (const record of records) {
      const known = await judged(trial, record)
      buffer.add(known, this.place(known))
      buffer.position = record.offset + 1
      if (trial.diedTogether) await this.flushOnce(buffer)
      if (buffer.rewindTo !== null) return
    }
    buffer.position = Math.max(buffer.position, next)
    if (!trial.diedTogether) await trial.tryTogether()
    await this.write(buffer)
  }

  async released(assignment: PartitionAssignment): Promise<void> {
    const key = partitionKey(assignment.topic, assignment.partition)
    const buffer = this.partitions.get(key)
    if (buffer?.assignment !== assignment) return
    this.forget(key)
    await buffer.serially(() => Promise.resolve())
    await this.trials.end(assignment)
    this.gauge()
  }

  async flush(): Promise<void> {
    for (const buffer of [...this.partitions.values()]) await buffer.serially(() => this.write(buffer))
  }

  async stop(): Promise<void> {
    this.isStopped = true
    try {
      await this.flush()
    } finally {
      for (const key of [...this.partitions.keys()]) this.forget(key)
    }
  }

  private async write(buffer: PartitionBuffer): Promise<void> {
    clearTimeout(this.timers.get(buffer))
    this.timers.delete(buffer)
    await this.flushOnce(buffer)
    await this.trials.end(buffer.assignment)
    this.gauge()
  }

  private async flushOnce(buffer: PartitionBuffer): Promise<void> {
    const { topic, partition } = buffer.assignment
    const isHeld = () => this.partitions.get(partitionKey(topic, partition)) === buffer
    const flushing = flushPartition(buffer, { ...this.options, metrics: this.metrics, isHeld })
    await unlessStalled('writing to the lake', this.options.stallMs, flushing)
  }

  private isFull(buffer: PartitionBuffer): boolean {
    let bytes = 0
    for (const other of this.partitions.values()) bytes += other.bytes
    return buffer.rows >= this.options.flushRows || bytes >= this.options.bufferBytes
  }

  private gauge(): void {
    let rows = 0
    for (const { rows: held } of this.partitions.values()) rows += held
    this.metrics.buffered(rows)
  }

  private startTimer(buffer: PartitionBuffer): void {
    if (this.timers.has(buffer) || buffer.isEmpty) return
    const onTime = () => {
      this.timers.delete(buffer)
      buffer
        .serially(() => this.write(buffer))
        .catch((error: unknown) => this.giveUp(buffer, error))
        .catch((error: unknown) => this.fail(buffer, error))
    }
    this.timers.set(buffer, setTimeout(onTime, this.options.flushMs))
  }

  private async giveUp(buffer: PartitionBuffer, error: unknown): Promise<never> {
    const { topic, partition } = buffer.assignment
    await this.trials.failed(buffer.assignment, error)
    // `stop` must not wait for it again.
    if (isRiverbankError(error, 'handler_stalled')) this.forget(partitionKey(topic, partition))
    throw error
  }

  private fail({ assignment: { topic, partition } }: PartitionBuffer, error: unknown): void {
    const { logger, onFailure } = this.options
    if (isRiverbankError(error, 'fenced')) {
      logger.info('lost a partition while writing it', { topic, partition })
      return
    }
    logger.error('writing to the lake failed', { topic, partition, error: String(error) })
    if (this.failure !== null) return
    this.failure = error instanceof Error ? error : new Error(String(error))
    onFailure?.(this.failure)
  }

  private forget(key: string): void {
    const buffer = this.partitions.get(key)
    if (buffer === undefined) return
    this.partitions.delete(key)
    clearTimeout(this.timers.get(buffer))
    this.timers.delete(buffer)
  }
}

/**
 * Maps a record to its table and row. Total: a record that a bug of ours cannot read becomes a row of bytes like any
 * unreadable one (I6).
 */
export function rowPlacement({
  topics,
  catalog,
  schema,
}: Pick<MaterializerOptions, 'topics' | 'catalog' | 'schema'>): (record: LogRecord) => PlacedRow {
  const [events, tables] = [eventTable(schema), scoreTables(schema)]
  const place = (record: LogRecord): PlacedRow => {
    if (record.topic === topics.events) return { spec: events, row: readEventRow(record, catalog) }
    if (record.topic !== topics.scores) throw new Error(`no table for topic ${record.topic}`)
    const read = tables.read(record)
    if (read.kind === 'score') return { spec: tables.scores, row: read.row }
    if (read.kind === 'observation') return { spec: tables.observations, row: read.row }
    return { spec: tables.unreadable, row: read.row }
  }
  return (record) => {
    try {
      return place(record)
    } catch (error) {
      if (record.fault !== undefined) throw error
      const detail = error instanceof Error ? error.message : String(error)
      return place({ ...record, fault: { code: 'processing_failed', detail } })
    }
  }
}
