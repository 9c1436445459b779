import { randomUUID } from 'node:crypto'
import { isRiverbankError, RiverbankError } from '../core/errors.ts'
import type { EventCatalog } from '../core/event.ts'
import type { FeatureSetManifest } from '../core/feature-set.ts'
import type { Claim, Clock, GroupHandler, LogBatch, LogRecord, Logger, Meter, TableWriter } from '../ports.ts'
import { partitionKey } from './commit.ts'
import type { Cover, TableSchema } from './commit.ts'
import { eventTable, readEventRow } from './event-table.ts'
import { removeOrphans } from './janitor.ts'
import type { Lake } from './lake.ts'
import { lakeMetrics } from './metrics.ts'
import { PartitionBuffer } from './partition-buffer.ts'
import type { PlacedRow } from './partition-buffer.ts'
import { scoreTables } from './score-table.ts'
import { discardFiles, writeFiles } from './table-files.ts'
import type { WritePoint } from './table-files.ts'
import { declaredColumns } from './table.ts'
import type { TableSpec } from './table.ts'

export interface MaterializerOptions {
  readonly lake: Lake
  readonly writer: TableWriter
  readonly topics: { readonly events: string; readonly scores: string }
  readonly catalog: EventCatalog
  readonly manifest: FeatureSetManifest
  /** Rows of one partition that are written at once. */
  readonly flushRows: number
  /** Rows are written after this time even if they are few. */
  readonly flushMs: number
  /** Bytes of records held by all partitions together; the partition that exceeds it is written. */
  readonly bufferBytes: number
  /** Age of an orphaned file that is deleted when its partition is assigned. */
  readonly orphanGraceMs: number
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
  /** Flushes, and takes no more rows. What comes later is read again by the next owner. */
  stop(): Promise<void>
}

/**
 * Copies the log into the lake, every offset once (I5). The manifest is the truth: reading resumes where it ends, and
 * whoever is assigned a partition takes its ownership there, so that a former owner's late commit is refused
 * (`lake_conflict`). The group's commit comes after, for the log's retention and for lag.
 */
export function createMaterializer(options: MaterializerOptions): Materializer {
  const { lake, logger, clock } = options
  const metrics = lakeMetrics(options.meter)
  const place = placement(options)
  const partitions = new Map<string, PartitionBuffer>()
  const timers = new Map<PartitionBuffer, NodeJS.Timeout>()
  let failure: unknown = null
  let stopped = false

  async function assigned(claim: Claim): Promise<number> {
    const { topic, partition } = claim
    const owner = randomUUID()
    const key = partitionKey(topic, partition)
    forget(key)
    const taken = await lake.log.commit({ owners: [{ topic, partition, owner }] })
    if (taken.kind !== 'committed') throw new Error(`ownership of ${key} was refused: ${taken.kind}`)
    const covered = await lake.covered(topic, partition)
    const nowMs = clock.nowMs()
    const orphans = await removeOrphans(lake, { topic, partition, graceMs: options.orphanGraceMs, nowMs })
    if (orphans.length > 0) logger.warn('removed orphaned lake files', { topic, partition, orphans })
    await lake.log.trim()
    const position = covered ?? claim.range.start
    partitions.set(key, new PartitionBuffer(claim, owner, covered, position))
    return position
  }

  async function batch(claim: Claim, { records, next, topic, partition }: LogBatch): Promise<number> {
    const buffer = partitions.get(partitionKey(topic, partition))
    if (buffer?.claim !== claim || stopped) {
      throw new RiverbankError('fenced', `partition ${partition} of ${topic} is not held by this materializer`)
    }
    return buffer.serially(async () => {
      if (failure !== null) throw failure
      if (buffer.rewindTo === null) {
        for (const record of records) if (record.offset >= buffer.position) buffer.add(record, place(record))
        buffer.position = Math.max(buffer.position, next)
        metrics.buffered(bufferedRows())
        if (isFull(buffer)) await flushPartition(buffer)
        else startTimer(buffer)
      }
      // A position above `next` (another writer covered more) is reached by reading on: such records are skipped.
      const answer = Math.min(buffer.rewindTo ?? next, next)
      buffer.rewindTo = null
      return answer
    })
  }

  function isFull(buffer: PartitionBuffer): boolean {
    let bytes = 0
    for (const other of partitions.values()) bytes += other.bytes
    return buffer.rows >= options.flushRows || bytes >= options.bufferBytes
  }

  function bufferedRows(): number {
    let rows = 0
    for (const { rows: held } of partitions.values()) rows += held
    return rows
  }

  function startTimer(buffer: PartitionBuffer): void {
    if (timers.has(buffer) || buffer.position === (buffer.covered ?? buffer.claim.range.start)) return
    const onTime = () => {
      timers.delete(buffer)
      buffer.serially(() => flushPartition(buffer)).catch((error: unknown) => fail(buffer, error))
    }
    timers.set(buffer, setTimeout(onTime, options.flushMs))
  }

  function fail(buffer: PartitionBuffer, error: unknown): void {
    const { topic, partition } = buffer.claim
    if (isRiverbankError(error, 'fenced')) {
      logger.info('lost a partition while writing it', { topic, partition })
      return
    }
    logger.error('writing to the lake failed', { topic, partition, error: String(error) })
    if (failure !== null) return
    failure = error
    options.onFailure?.(error)
  }

  /** Writes and commits what is buffered; on a lost race drops it and says where to go on. */
  async function flushPartition(buffer: PartitionBuffer): Promise<void> {
    clearTimeout(timers.get(buffer))
    timers.delete(buffer)
    const from = buffer.covered
    const next = buffer.position
    if (next === (from ?? buffer.claim.range.start)) return
    const startedMs = clock.nowMs()
    const { topic, partition } = buffer.claim
    const parts = buffer.parts()
    const { dir } = lake
    const entries = await writeFiles(parts, { ...options, dir, materializedAtMs: startedMs })
    const cover: Cover = { topic, partition, from, next }
    const schemas = parts.map(({ buffer: { spec } }) => schemaOf(spec))
    const result = await lake.log.commit({ owner: buffer.owner, added: entries, covered: [cover], schemas })
    const oldestMs = buffer.oldestAppendTimeMs
    buffer.clear()
    if (result.kind !== 'committed') {
      await discardFiles(dir, entries)
      metrics.conflict()
      logger.warn('another writer has this range', { code: 'lake_conflict', topic, partition, from, next, ...result })
      await retake(buffer)
      return
    }
    await options.onPoint?.('committed')
    buffer.covered = next
    metrics.written(entries, clock.nowMs() - startedMs, oldestMs === null ? null : startedMs - oldestMs)
    metrics.buffered(bufferedRows())
    await commitToGroup(buffer, next)
  }

  /** The group decides who lost: `fenced` ends this claim; else it takes the partition back and reads on from there. */
  async function retake(buffer: PartitionBuffer): Promise<void> {
    const { claim, owner } = buffer
    const { topic, partition } = claim
    if (claim.signal.aborted || partitions.get(partitionKey(topic, partition)) !== buffer) {
      throw new RiverbankError('fenced', `partition ${partition} of ${topic} has another owner`)
    }
    const seen = await lake.covered(topic, partition)
    if (seen !== null) await claim.commit(seen)
    await lake.log.commit({ owners: [{ topic, partition, owner }] })
    buffer.covered = await lake.covered(topic, partition)
    buffer.position = buffer.covered ?? claim.range.start
    buffer.rewindTo = buffer.position
  }

  async function commitToGroup(buffer: PartitionBuffer, next: number): Promise<void> {
    try {
      await buffer.claim.commit(next)
    } catch (error) {
      // The lake has the rows; the next flush commits again, and a restart resumes from the manifest.
      if (!isRiverbankError(error) || !error.canRetry) throw error
      const { topic, partition } = buffer.claim
      logger.warn('the group commit failed', { topic, partition, next, error: error.message })
    }
  }

  function forget(key: string): void {
    const buffer = partitions.get(key)
    if (buffer === undefined) return
    partitions.delete(key)
    clearTimeout(timers.get(buffer))
    timers.delete(buffer)
  }

  async function released(claim: Claim): Promise<void> {
    const key = partitionKey(claim.topic, claim.partition)
    const buffer = partitions.get(key)
    if (buffer?.claim !== claim) return
    forget(key)
    await buffer.serially(() => Promise.resolve())
    metrics.buffered(bufferedRows())
  }

  async function flush(): Promise<void> {
    for (const buffer of [...partitions.values()]) await buffer.serially(() => flushPartition(buffer))
  }

  async function stop(): Promise<void> {
    stopped = true
    await flush()
    for (const key of [...partitions.keys()]) forget(key)
  }

  return { assigned, batch, released, flush, stop }
}

function placement(options: MaterializerOptions): (record: LogRecord) => PlacedRow {
  const { topics, catalog } = options
  const tables = scoreTables(options.manifest)
  return (record) => {
    if (record.topic === topics.events) return { spec: eventTable, row: readEventRow(record, catalog) }
    if (record.topic !== topics.scores) throw new Error(`no table for topic ${record.topic}`)
    const read = tables.read(record)
    if (read.kind === 'score') return { spec: tables.scores, row: read.row }
    if (read.kind === 'observation') return { spec: tables.observations, row: read.row }
    return { spec: tables.unreadable, row: read.row }
  }
}

function schemaOf(spec: TableSpec<never>): TableSchema {
  return { id: spec.schemaId, table: spec.table, columns: [...declaredColumns(spec)] }
}
