import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { names, type Config } from '../../installation/settings/config.ts'
import { definitions } from '../../installation/settings/definitions.ts'
import { openStores } from '../../installation/servers/event-log.ts'
import { requireLake } from '../../installation/lake/lake-binding.ts'
import { lakeFolder } from '../../installation/lake/lake-folder.ts'
import { bringLakeToEnd } from '../../installation/lake/lake-end.ts'
import { systemClock } from '../../roles/lifecycle/role.ts'
import { openQuery } from '../../../edges/duckdb/query.ts'
import { pinoLogger } from '../../../edges/pino/logger.ts'
import { onlyFromWhole, openFiles } from '../../../lake/commit/damage.ts'
import { openLake } from '../../../lake/commit/lake.ts'
import { backfillView, type BackfillResult } from '../../../lake/rebuild/backfill.ts'
import { catalogOf } from '../../../lake/tables/sql-catalog.ts'
import { StateMigration } from '../../../process/assignment/state-migration.ts'

/** Sorts so many rows of one entity at once; those that do not fit into memory spill to the data folder. */
const rowsPerChunk = 2_000_000
const query = { threads: 1, memoryMb: 2_048, tempMb: 65_536 } as const

/**
 * Backfills the missing history of a view while the service runs. Errors: those of {@link backfillView}, log and lake.
 */
export async function runBackfill(config: Config, view: string, say: (line: string) => void): Promise<BackfillResult> {
  const { plan, lakeSchema: schema } = definitions(config)
  const { topics, groups } = names(config)
  const { log, store } = await openStores(config)
  const lake = await openLake({ dir: lakeFolder(config), clock: systemClock })
  const logger = pinoLogger({ level: 'warn', fields: { role: 'backfill' } })
  const committed = (topic: string) => log.committed(groups.process, topic)
  const migration = new StateMigration({ store, plan, committed, clock: systemClock, logger })
  try {
    await requireLake(config, lake, store, log)
    await bringLakeToEnd(config, log, lake, say)
    const tempDir = await mkdtemp(join(config.DATA_DIR, 'backfill-'))
    const snapshot = await lake.snapshot()
    const { setup } = catalogOf(lake, snapshot, schema)
    const database = await openFiles(lake, snapshot, () => openQuery({ ...query, tempDir, setup }))
    try {
      return await backfillView({
        ...{ store, query: database, plan, schema, topics, rowsPerChunk, clock: systemClock },
        fromWhole: (read) => onlyFromWhole(lake, snapshot, read),
        view,
        committed: await committed(topics.events),
        decode: (entity, blobs) => migration.decode(entity, blobs, topics.events),
        onProgress: ({ chunk, chunks, filled }) => {
          say(`backfill: ${chunk} of ${chunks}, ${filled} states`)
        },
      })
    } finally {
      database.close()
      await rm(tempDir, { recursive: true, force: true })
    }
  } finally {
    await Promise.allSettled([log.close(), store.close()])
  }
}

/** `riverbank backfill`: 0 when the view is complete, 1 when the lake lacks the first events of some incarnations. */
export async function backfillCommand(
  config: Config,
  view: string,
  options: { readonly json?: boolean },
): Promise<number> {
  const result = await runBackfill(config, view, (line) => {
    process.stderr.write(`${line}\n`)
  })
  const { entity, migrated, filled, left } = result
  const rest = left === 0 ? '' : `; ${left} stay incomplete: the lake does not reach back to their beginning`
  const text = `${filled} states of ${entity} have their history, ${migrated} were migrated${rest}\n`
  process.stdout.write(options.json === true ? `${JSON.stringify({ view, ...result })}\n` : text)
  return left === 0 ? 0 : 1
}
