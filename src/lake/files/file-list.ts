import { replaceFile } from '../commit/durable.ts'
import { filesOf } from '../commit/lake.ts'
import type { Lake, Snapshot } from '../commit/lake.ts'
import { literal } from '../../base/sql.ts'
import type { LakeSchema } from '../tables/lake-schema.ts'
import { catalogOf } from '../tables/sql-catalog.ts'
import { tableNames } from '../tables/table.ts'

/**
 * The committed files, for readers of Parquet without this program. A glob over the folders counts rows twice: merged
 * files stay on disk for a while beside the file that replaced them, and a crash leaves files that no commit names.
 */
export const fileListNames = { json: 'files.json', sql: 'views.sql' } as const

/** Names the folder of the lake in `views.sql`, for a shell that sees it under another path. */
const folderVariable = 'riverbank_lake'
const attemptsMax = 20

type Files = Pick<Lake, 'dir' | 'pathOf'>

/** One version of the lake: `root` is absolute, every `path` relative to it. Offsets are the log's, inclusive. */
export function fileListJson(lake: Files, snapshot: Snapshot): string {
  const tables = tableNames.map((table) => {
    const files = filesOf(snapshot, table).map(({ table: _table, ...file }) => file)
    return [table, { rows: files.reduce((sum, { rows }) => sum + rows, 0), files }] as const
  })
  const list = { format: 1, version: snapshot.version, root: lake.dir, tables: Object.fromEntries(tables) }
  return `${JSON.stringify(list)}\n`
}

/**
 * Views over exactly these files, for DuckDB's shell (1.1 or newer): the relations of `riverbank sql`. Paths are
 * absolute, because the shell resolves others in its own folder.
 */
export function fileListSql(lake: Files, snapshot: Snapshot, schema: LakeSchema): string {
  const folder = `getvariable('${folderVariable}')`
  const { setup } = catalogOf(lake, snapshot, schema, ({ path }) => `${folder} || ${literal(`/${path}`)}`)
  const statements = setup.map((sql) => `${sql.replace(/^CREATE /, 'CREATE OR REPLACE ')};`)
  return [
    `-- The lake at version ${snapshot.version}. Written with each commit; read it again for what came later.`,
    `-- Where the lake is mounted elsewhere: SET VARIABLE ${folderVariable} = '/its/folder'; before this file is read.`,
    `SET VARIABLE ${folderVariable} = coalesce(${folder}, ${literal(lake.dir)});`,
    ...statements,
    '',
  ].join('\n')
}

/**
 * Writes both lists of the newest version into the lake's folder, each whole or not at all; answers the version. The
 * last writer also read last: an older list never stays long over a newer one.
 */
export async function publishFileList(lake: Lake, schema: LakeSchema): Promise<number> {
  let version = -1
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const snapshot = await lake.snapshot()
    if (snapshot.version === version) break
    version = snapshot.version
    await replaceFile(lake.dir, fileListNames.json, fileListJson(lake, snapshot))
    await replaceFile(lake.dir, fileListNames.sql, fileListSql(lake, snapshot, schema))
  }
  return version
}

export interface ListedLake extends Lake {
  /** Resolves when the lists of the newest commit made here are written, or have failed. */
  listed(): Promise<void>
}

export interface ListingOptions {
  readonly schema: LakeSchema
  /** The commit stands, and the lists are those of an older commit. */
  readonly onFailure: (error: unknown) => void
}

/** The lake, rewriting its lists after each commit; commits that come meanwhile share one writing. */
export function withFileList(lake: Lake, { schema, onFailure }: ListingOptions): ListedLake {
  let writing: Promise<void> | null = null
  let isDue = false
  const write = async () => {
    while (isDue) {
      isDue = false
      await publishFileList(lake, schema).catch(onFailure)
    }
    writing = null
  }
  const ask = () => {
    isDue = true
    writing ??= write()
  }
  return {
    ...lake,
    log: {
      ...lake.log,
      async commit(proposal) {
        const result = await lake.log.commit(proposal)
        if (result.kind === 'committed') ask()
        return result
      },
    },
    async listed() {
      while (writing !== null) await writing
    },
  }
}
