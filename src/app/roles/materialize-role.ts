import { names, type Config } from '../installation/settings/config.ts'
import { refuseAnyContradiction, refuseContradictions, tellTopicRisks } from '../installation/contradictions.ts'
import { definitions } from '../installation/settings/definitions.ts'
import { openEventLog, openStores } from '../installation/servers/event-log.ts'
import { lakeFolder } from '../installation/lake/lake-folder.ts'
import { keepIdLists } from '../installation/lake/lake-ids.ts'
import { watchModel } from './model-watch.ts'
import { repeat, type Repeated } from './lifecycle/repeat.ts'
import type { Ready, Role, Work } from './lifecycle/role.ts'
import { startStateWatch } from './state-watch.ts'
import { isRiverbankError } from '../../base/errors.ts'
import { compact } from '../../lake/materialize/compaction.ts'
import { openTableWriter, type DatabaseWriter } from '../../edges/duckdb/table-writer.ts'
import { publishFileList, withFileList } from '../../lake/files/file-list.ts'
import { openLake, type Lake } from '../../lake/commit/lake.ts'
import { damageMetrics } from '../../lake/materialize/metrics.ts'
import { createMaterializer, type MaterializerOptions } from '../../lake/materialize/materializer.ts'
import type { ConsumeOptions, EventLog } from '../../ports/log.ts'

const mebibyte = 1_048_576

/** Merges files of five seconds into files of minutes; a running query may read the old files for ten more minutes. */
const compaction = { minFiles: 8, maxFiles: 64, targetBytes: 64 * mebibyte, retireGraceMs: 600_000 } as const

/** The options of a materializer, and those of its consumption. */
export interface MaterializerParts {
  readonly options: MaterializerOptions
  readonly consume: ConsumeOptions
}

/** Puts something between a materializer and its parts. */
export type Between = (parts: MaterializerParts) => MaterializerParts

/** After a merge, makes at most so many lists of ids that an older program left out. */
const idListsAtOnce = 500

/**
 * The role: a materializer that also watches the states. While they are lost it is not ready, but goes on copying: a
 * rebuild needs everything that the log holds. The lake of another installation ends it (`lake_mismatch`).
 */
export async function startMaterialize(role: Role, between: Between = (parts) => parts): Promise<Work & Ready> {
  const { config, logger } = role
  await openLake({ dir: lakeFolder(config), clock: role.clock })
  const { log, store } = await openStores(config, logger)
  await refuseContradictions(config, { log, store, lake: true })
  const watch = await startStateWatch({ ...role, log, store, featureSet: definitions(config).manifest.hash })
  const work = await startMaterializer(role, ({ options, consume }) =>
    between({ options: { ...options, storeMetadata: store }, consume }),
  )
  return {
    finished: Promise.race([work.finished, watch.failed]),
    ready: () => watch.ready(),
    async stop() {
      await work.stop()
      await watch.stop()
      await Promise.allSettled([log.close(), store.close()])
    },
  }
}

/** Copies events and scores into the lake, and monitors the model that scores there. */
export async function startMaterializer(role: Role, between: Between = (parts) => parts): Promise<Work> {
  const { config, logger } = role
  const log = await openEventLog(config, logger)
  try {
    await refuseAnyContradiction(config, log)
    await tellTopicRisks(config, log, logger)
    return await materializeFrom(role, log, between)
  } catch (error) {
    await log.close()
    throw error
  }
}

async function materializeFrom(role: Role, log: EventLog, between: Between): Promise<Work> {
  const { config, logger, clock, meter } = role
  const { catalog, lakeSchema: schema } = definitions(config)
  const lake = withFileList(await openLake({ dir: lakeFolder(config), clock }), {
    schema,
    onFailure: (error) => logger.warn('the list of lake files was not written', { error }),
  })
  await publishFileList(lake, schema)
  const writer = await openTableWriter({ threads: 1, memoryMb: config.LAKE_MEMORY_MB, rowGroupRows: 50_000 })
  const { topics } = names(config)
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  const own: MaterializerOptions = {
    lake,
    writer,
    topics,
    catalog,
    schema,
    flushRows: config.LAKE_FLUSH_ROWS,
    flushMs: config.LAKE_FLUSH_MS,
    bufferBytes: config.LAKE_BUFFER_MB * mebibyte,
    orphanGraceMs: 600_000,
    stallMs: config.STALL_MS,
    storeMetadata: null,
    clock,
    meter,
    logger,
    onFailure: (error) => {
      fail(error)
    },
  }
  const { options, consume } = between({ options: own, consume: consumeOptions(config) })
  const materializer = createMaterializer(options)
  const consumption = await log.consume(consume, materializer)
  const compacting = compactEvery(role, lake, writer)
  const watching = watchModel(role)
  return {
    finished: Promise.race([consumption.finished, failed]),
    async stop() {
      await materializer.flush()
      await consumption.stop()
      await materializer.stop()
      await compacting.stop()
      await lake.listed()
      await watching.stop()
      await log.close()
      await writer.close()
    },
  }
}

function consumeOptions(config: Config): ConsumeOptions {
  const { topics, groups } = names(config)
  return {
    group: groups.materialize,
    topics: [topics.events, topics.scores],
    maxRecords: 5_000,
    maxBytes: config.BATCH_BYTES,
    maxWaitMs: 500,
    sessionTimeoutMs: Math.max(config.SESSION_TIMEOUT_MS, 30_000),
    concurrency: 2,
  }
}

/** Merges small files periodically; the next turn tries a failed merge again. Logs damage at every turn. */
function compactEvery({ config, clock, logger, meter }: Role, lake: Lake, writer: DatabaseWriter): Repeated {
  const held = meter.gauge('riverbank_lake_database_bytes', 'Bytes that the database of the lake holds after a merge')
  const metrics = damageMetrics(meter)
  const keepLists = keepIdLists(lake, definitions(config).lakeSchema)
  return repeat(clock, config.LAKE_COMPACT_MS, async () => {
    try {
      const { damaged, failed, ...result } = await compact({ ...compaction, lake, writer, nowMs: clock.nowMs() })
      held.set(await writer.heldBytes())
      if (result.merged > 0) logger.info('merged small files', { ...result })
      if (damaged.length > 0) logger.error('damaged lake files are not merged: see riverbank lake repair', { damaged })
      for (const { error, ...merge } of failed) logger.warn('compaction failed', { ...merge, error })
      metrics.files(damaged)
      metrics.log(failed.some(({ error }) => isRiverbankError(error, 'lake_corrupt')))
      await keepLists({ max: idListsAtOnce, nowMs: clock.nowMs() }).catch((error: unknown) => {
        logger.warn('lists of ids are missing: looking up a score costs more', { error })
      })
    } catch (error) {
      metrics.log(isRiverbankError(error, 'lake_corrupt'))
      logger.warn('compaction failed', { error })
    }
  })
}
