import { join } from 'node:path'
import { names } from './config.ts'
import { definitions } from './definitions.ts'
import { openEventLog } from './event-log.ts'
import { watchModel } from './model-watch.ts'
import { repeat, type Repeated } from './repeat.ts'
import type { Role, Work } from './role.ts'
import { isRiverbankError } from '../core/errors.ts'
import { compact } from '../lake/compaction.ts'
import { openTableWriter } from '../edges/duckdb/table-writer.ts'
import { openLake, type Lake } from '../lake/lake.ts'
import { damageMetrics } from '../lake/metrics.ts'
import type { TableWriter } from '../ports.ts'
import { createMaterializer } from '../lake/materializer.ts'

const mebibyte = 1_048_576

/** Files of five seconds become files of minutes; what a running query still reads stays for ten more. */
const compaction = { minFiles: 8, maxFiles: 64, targetBytes: 64 * mebibyte, retireGraceMs: 600_000 } as const

/** The materializer: copies events and scores into the lake, and watches the model that scores there. */
export async function startMaterialize(role: Role): Promise<Work> {
  const { config, logger, clock, meter } = role
  const { catalog, manifest } = definitions()
  const lake = await openLake({ dir: join(config.DATA_DIR, 'lake'), clock })
  const writer = await openTableWriter({ threads: 1, memoryMb: 1_024, rowGroupRows: 50_000 })
  const log = await openEventLog(config, logger)
  const { topics, groups } = names(config)
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  const materializer = createMaterializer({
    lake,
    writer,
    topics,
    catalog,
    manifest,
    flushRows: config.LAKE_FLUSH_ROWS,
    flushMs: config.LAKE_FLUSH_MS,
    bufferBytes: 64 * mebibyte,
    orphanGraceMs: 600_000,
    clock,
    meter,
    logger,
    onFailure: (error) => {
      fail(error)
    },
  })
  const consumption = await log.consume(
    {
      group: groups.materialize,
      topics: [topics.events, topics.scores],
      maxRecords: 5_000,
      maxBytes: config.BATCH_BYTES,
      maxWaitMs: 500,
      sessionTimeoutMs: Math.max(config.SESSION_TIMEOUT_MS, 30_000),
      concurrency: 2,
    },
    materializer,
  )
  const compacting = compactEvery(role, lake, writer)
  const watching = watchModel(role)
  return {
    finished: Promise.race([consumption.finished, failed]),
    async stop() {
      await materializer.flush()
      await consumption.stop()
      await materializer.stop()
      await compacting.stop()
      await watching.stop()
      await log.close()
      await writer.close()
    },
  }
}

/** Merges small files now and then; a run that fails is tried again at the next turn. Damage is told at every turn. */
function compactEvery({ config, clock, logger, meter }: Role, lake: Lake, writer: TableWriter): Repeated {
  const metrics = damageMetrics(meter)
  return repeat(clock, config.LAKE_COMPACT_MS, async () => {
    try {
      const { damaged, ...result } = await compact({ ...compaction, lake, writer, nowMs: clock.nowMs() })
      if (result.merged > 0) logger.info('merged small files', { ...result })
      if (damaged.length > 0) logger.error('damaged lake files are not merged: see riverbank lake repair', { damaged })
      metrics.files(damaged)
      metrics.log(false)
    } catch (error) {
      metrics.log(isRiverbankError(error, 'lake_corrupt'))
      logger.warn('compaction failed', { error })
    }
  })
}
