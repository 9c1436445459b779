import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { names, type Config } from './config.ts'
import { definitions } from './definitions.ts'
import { openEventLog, openStateStore } from './event-log.ts'
import { bringLakeToEnd } from './lake-end.ts'
import { systemClock } from './role.ts'
import { openQuery } from '../edges/duckdb/query.ts'
import { onlyFromWhole } from '../lake/damage.ts'
import { openLake } from '../lake/lake.ts'
import { rebuildStates, type RebuildResult } from '../lake/rebuild/rebuild.ts'
import { catalogOf } from '../lake/sql-catalog.ts'

/** Rows of one entity that are sorted at once; what does not fit into memory goes to the folder of the data. */
const rowsPerChunk = 2_000_000
const query = { threads: 2, memoryMb: 2_048, tempMb: 65_536 } as const

/** Fills the empty states of an installation from its log and its lake. Errors: those of {@link rebuildStates}. */
export async function runRebuild(config: Config, say: (line: string) => void): Promise<RebuildResult> {
  const { plan, manifest, set } = definitions()
  const { topics, groups } = names(config)
  const [log, store] = [await openEventLog(config), await openStateStore(config)]
  const lake = await openLake({ dir: join(config.DATA_DIR, 'lake'), clock: systemClock })
  try {
    await bringLakeToEnd(config, log, lake, say)
    const tempDir = await mkdtemp(join(config.DATA_DIR, 'rebuild-'))
    const snapshot = await lake.snapshot()
    const { setup } = catalogOf(lake, snapshot, manifest)
    const database = await openQuery({ ...query, tempDir, setup })
    try {
      return await rebuildStates({
        ...{ store, query: database, plan, manifest, topics, scoredType: set.scored, rowsPerChunk, clock: systemClock },
        fromWhole: (read) => onlyFromWhole(lake, snapshot.files, read),
        committed: await log.committed(groups.process, topics.events),
        onProgress: ({ entity, chunk, chunks, states }) => {
          say(`rebuild: ${entity} ${chunk} of ${chunks}, ${states} states`)
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

/** `riverbank rebuild`: 0 when the states are whole again. */
export async function rebuildCommand(config: Config, options: { readonly json?: boolean }): Promise<number> {
  const startedMs = systemClock.nowMs()
  const result = await runRebuild(config, (line) => {
    process.stderr.write(`${line}\n`)
  })
  const seconds = (systemClock.nowMs() - startedMs) / 1_000
  const rows = Object.entries(result.rows).map(([entity, count]) => `${count} of ${entity}`)
  const text = `${result.states} states from ${rows.join(', ')} in ${seconds.toFixed(1)} s: start the processors\n`
  process.stdout.write(options.json === true ? `${JSON.stringify({ ...result, seconds })}\n` : text)
  return 0
}
