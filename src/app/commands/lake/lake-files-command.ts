import { definitions } from '../../installation/settings/definitions.ts'
import { lakeDir } from './lake-check-command.ts'
import type { Config } from '../../installation/settings/config.ts'
import { table } from '../../command-line/table.ts'
import { fileListJson, fileListSql, publishFileList } from '../../../lake/files/file-list.ts'
import { filesOf, openLake } from '../../../lake/commit/lake.ts'
import { tableNames } from '../../../lake/tables/table.ts'

export interface LakeFilesOptions {
  readonly json?: boolean
  readonly sql?: boolean
}

/** `riverbank lake files`: the committed files as a table, as JSON, or as SQL; writes both lists of the lake anew. */
export async function lakeFilesCommand(config: Config, options: LakeFilesOptions): Promise<number> {
  const { lakeSchema } = definitions(config)
  const lake = await openLake({ dir: lakeDir(config) })
  await publishFileList(lake, lakeSchema)
  const snapshot = await lake.snapshot()
  if (options.sql === true) process.stdout.write(fileListSql(lake, snapshot, lakeSchema))
  else if (options.json === true) process.stdout.write(fileListJson(lake, snapshot))
  else {
    const rows = tableNames.map((name) => {
      const files = filesOf(snapshot, name)
      const sum = (of: 'rows' | 'bytes') => files.reduce((total, file) => total + file[of], 0)
      return { table: name, files: files.length, rows: sum('rows'), bytes: sum('bytes') }
    })
    process.stdout.write(table(rows))
    process.stderr.write(`version ${snapshot.version}; listed in ${lake.dir}/files.json and views.sql\n`)
  }
  return 0
}
