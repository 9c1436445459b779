import { join } from 'node:path'
import { names } from './config.ts'
import { definitions } from './definitions.ts'
import { openEventLog } from './event-log.ts'
import type { Role, Work } from './role.ts'
import { openTableWriter } from '../edges/duckdb/table-writer.ts'
import { openLake } from '../lake/lake.ts'
import { createMaterializer } from '../lake/materializer.ts'

const mebibyte = 1_048_576

/** The materializer: copies events and scores into the lake. */
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
    bufferBytes: 256 * mebibyte,
    orphanGraceMs: 3_600_000,
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
  return {
    finished: Promise.race([consumption.finished, failed]),
    async stop() {
      await materializer.stop()
      await consumption.stop()
      await log.close()
      await writer.close()
    },
  }
}
