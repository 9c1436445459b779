import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { TableWriter } from '../../ports/tables.ts'
import type { Logger } from '../../ports/telemetry.ts'
import type { Owner, TableSchema } from '../commit/commit.ts'
import type { Lake } from '../commit/lake.ts'
import type { LakeMetrics } from './metrics.ts'
import type { PartitionBuffer } from './partition-buffer.ts'
import { discardRefused, writeFiles } from '../files/table-files.ts'
import type { WritePoint } from '../files/table-files.ts'
import { declaredColumns } from '../tables/table.ts'
import type { TableSpec } from '../tables/table.ts'

export interface FlushContext {
  readonly lake: Lake
  readonly writer: TableWriter
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: LakeMetrics
  /** False once the partition was given up, or assigned again. */
  readonly isHeld: () => boolean
  readonly onPoint?: (point: WritePoint) => Promise<void>
}

/** From here on the lake refuses commits of the partition's former owners. */
export async function takeOwnership(lake: Lake, owner: Owner): Promise<void> {
  const taken = await lake.log.commit({ owners: [owner] })
  if (taken.kind !== 'committed') throw new Error(`ownership of ${owner.topic} was refused: ${taken.kind}`)
}

/**
 * Writes what is buffered, commits it to the manifest, then to the group. A lost race drops the buffer and sets
 * `rewindTo`. Errors: `fenced` when the partition has another owner, `lake_write_failed`, those of the commit log.
 */
export async function flushPartition(buffer: PartitionBuffer, context: FlushContext): Promise<void> {
  if (buffer.isEmpty) return
  const { lake, clock, metrics, logger, writer, onPoint } = context
  const { topic, partition } = buffer.assignment
  const { covered: from, position: next, oldestAppendTimeMs: oldestMs } = buffer
  const startedMs = clock.nowMs()
  const parts = buffer.parts()
  const entries = await writeFiles(parts, { dir: lake.dir, writer, materializedAtMs: startedMs, onPoint })
  const result = await lake.log.commit({
    owner: buffer.owner,
    added: entries,
    covered: [{ topic, partition, from, next }],
    schemas: parts.map((part) => schemaOf(part.buffer.spec)),
  })
  buffer.clear()
  if (result.kind !== 'committed') {
    await discardRefused(lake, entries)
    metrics.conflict()
    logger.warn('another writer has this range', { code: 'lake_conflict', topic, partition, from, next, ...result })
    await retake(buffer, context)
    return
  }
  await onPoint?.('committed')
  buffer.covered = next
  metrics.written(entries, clock.nowMs() - startedMs, oldestMs === null ? null : startedMs - oldestMs)
  await commitToGroup(buffer, next, logger)
}

/**
 * The consumer group decides who lost: `fenced` ends this assignment; else it takes the partition back and reads on.
 */
async function retake(buffer: PartitionBuffer, { lake, isHeld }: FlushContext): Promise<void> {
  const { assignment, owner } = buffer
  const { topic, partition } = assignment
  if (assignment.signal.aborted || !isHeld()) {
    throw new RiverbankError('fenced', `partition ${partition} of ${topic} has another owner`)
  }
  const seen = await lake.covered(topic, partition)
  if (seen !== null) await assignment.commit(seen)
  await takeOwnership(lake, { topic, partition, owner })
  buffer.resume(await lake.covered(topic, partition))
}

/** Commits to the consumer group for lag and retention; the manifest is the truth. */
export async function commitToGroup({ assignment }: PartitionBuffer, next: number, logger: Logger): Promise<void> {
  try {
    await assignment.commit(next)
  } catch (error) {
    // The lake has the rows; the next flush commits again, and a restart resumes from the manifest.
    if (!isRiverbankError(error) || !error.canRetry) throw error
    const { topic, partition } = assignment
    logger.warn('the group commit failed', { topic, partition, next, error: error.message })
  }
}

export function schemaOf(spec: TableSpec<never>): TableSchema {
  return { id: spec.schemaId, table: spec.table, columns: [...declaredColumns(spec)] }
}
