import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { names, type Config } from '../../installation/settings/config.ts'
import { definitions } from '../../installation/settings/definitions.ts'
import { openStores, type Stores as Opened } from '../../installation/servers/event-log.ts'
import { requireLake } from '../../installation/lake/lake-binding.ts'
import { lakeFolder } from '../../installation/lake/lake-folder.ts'
import { bringLakeToEnd } from '../../installation/lake/lake-end.ts'
import { systemClock } from '../../roles/lifecycle/role.ts'
import { isRiverbankError } from '../../../base/errors.ts'
import { openQuery } from '../../../edges/duckdb/query.ts'
import { onlyFromWhole, openFiles } from '../../../lake/commit/damage.ts'
import { openLake, type Lake } from '../../../lake/commit/lake.ts'
import { rebuildStates, type RebuildResult } from '../../../lake/rebuild/rebuild.ts'
import { catalogOf } from '../../../lake/tables/sql-catalog.ts'

/** Sorts so many rows of one entity at once; those that do not fit into memory spill to the data folder. */
const rowsPerChunk = 2_000_000
const query = { threads: 2, memoryMb: 2_048, tempMb: 65_536 } as const

/**
 * Attempts of a rebuild: it begins again when a processor has committed a batch meanwhile (one a partition at most), or
 * when a merge has deleted files before they were read.
 */
const attemptsMax = 5

/**
 * Fills the empty states of an installation from its log and its lake, while the roles run. Errors: `lake_mismatch`,
 * and those of {@link rebuildStates}.
 */
export async function runRebuild(config: Config, say: (line: string) => void): Promise<RebuildResult> {
  const { log, store } = await openStores(config)
  try {
    const lake = await openLake({ dir: lakeFolder(config), clock: systemClock })
    await requireLake(config, lake, store, log)
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await rebuildOnce(config, { log, store, lake }, say)
      } catch (error) {
        const isOld = isRiverbankError(error, 'lake_behind') || isRiverbankError(error, 'lake_moved')
        if (!isOld || !error.canRetry || attempt === attemptsMax) throw error
        say(`rebuild: ${error.message}: once more`)
      }
    }
  } finally {
    await Promise.allSettled([log.close(), store.close()])
  }
}

interface Stores extends Opened {
  readonly lake: Lake
}

async function rebuildOnce(
  config: Config,
  { log, store, lake }: Stores,
  say: (line: string) => void,
): Promise<RebuildResult> {
  const { plan, lakeSchema: schema } = definitions(config)
  const { topics, groups } = names(config)
  const committedNow = () => log.committed(groups.process, topics.events)
  // Before the lake catches up: it then has the output events of every record committed by now.
  const committed = await committedNow()
  await bringLakeToEnd(config, log, lake, say)
  const ranges = (await log.describeTopic(topics.events)) ?? []
  const starts = new Map(ranges.map(({ partition, start }) => [partition, start]))
  const tempDir = await mkdtemp(join(config.DATA_DIR, 'rebuild-'))
  const snapshot = await lake.snapshot()
  const { setup } = catalogOf(lake, snapshot, schema)
  const database = await openFiles(lake, snapshot, () => openQuery({ ...query, tempDir, setup }))
  try {
    return await rebuildStates({
      ...{ store, query: database, plan, schema, topics, rowsPerChunk, clock: systemClock },
      ...{ committed, committedNow, starts },
      fromWhole: (read) => onlyFromWhole(lake, snapshot, read),
      onProgress: ({ entity, chunk, chunks, states }) => {
        say(`rebuild: ${entity} ${chunk} of ${chunks}, ${states} states`)
      },
    })
  } finally {
    database.close()
    await rm(tempDir, { recursive: true, force: true })
  }
}

/** `riverbank rebuild`: 0 when the states are whole again. */
export async function rebuildCommand(config: Config, options: { readonly json?: boolean }): Promise<number> {
  const startedMs = systemClock.nowMs()
  const result = await runRebuild(config, (line) => {
    process.stderr.write(`${line}\n`)
  })
  const seconds = (systemClock.nowMs() - startedMs) / 1_000
  const rows = Object.entries(result.rows).map(([entity, count]) => `${count} of ${entity}`)
  const text = `${result.states} states from ${rows.join(', ')} in ${seconds.toFixed(1)} s: processors that wait go on by themselves\n`
  process.stdout.write(options.json === true ? `${JSON.stringify({ ...result, seconds })}\n` : text)
  return 0
}
