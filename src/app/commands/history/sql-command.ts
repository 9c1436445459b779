import { text } from 'node:stream/consumers'
import type { Config } from '../../installation/settings/config.ts'
import { openSql } from '../../installation/lake/open-sql.ts'
import { table } from '../../command-line/table.ts'

/** `riverbank sql`: the same sandbox as over HTTP, with a person's limits. */
export async function sqlCommand(config: Config, query: string, options: { readonly json?: boolean }): Promise<number> {
  const select = query === '-' ? await text(process.stdin) : query
  const lakeSchema = async () => {
    const { definitions } = await import('../../installation/settings/definitions.ts')
    return definitions(config).lakeSchema
  }
  const sql = openSql(config, lakeSchema, {
    memoryMb: Math.max(2_048, config.SQL_MEMORY_MB),
    maxRows: 1_000_000,
    // There is only one query: the first process starts without a spare.
    spare: 0,
  })
  try {
    const result = await sql.run(select)
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify(result)}\n`)
    } else {
      const rows = result.rows.map((row) => Object.fromEntries(result.columns.map(({ name }, i) => [name, row[i]])))
      process.stdout.write(table(rows))
      process.stderr.write(
        `${result.rowCount} rows, ${Math.round(result.elapsedMs)} ms${result.truncated ? ', truncated' : ''}\n`,
      )
    }
    return 0
  } finally {
    await sql.close()
  }
}
