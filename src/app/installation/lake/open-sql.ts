import type { Config } from '../settings/config.ts'
import { lakeFolder } from './lake-folder.ts'
import { createSqlRunner, sqlRunnerDefaults } from '../../../edges/duckdb/sql-runner.ts'
import { openLake } from '../../../lake/commit/lake.ts'
import type { LakeSchema } from '../../../lake/tables/lake-schema.ts'
import { sqlCatalogSource } from '../../../lake/tables/sql-catalog.ts'
import type { SqlCatalog, SqlRunner } from '../../../ports/sql.ts'

/**
 * Runs SQL over the lake in processes of its own; the limits depend on the trust in the caller. The first process starts
 * before the schema is asked for: compiling definitions takes as long. A query gets the errors of the schema and the lake.
 */
export function openSql(
  config: Config,
  lakeSchema: () => Promise<LakeSchema>,
  limits: { readonly memoryMb: number; readonly maxRows: number; readonly spare?: number },
): SqlRunner {
  let source: Promise<() => Promise<SqlCatalog>> | null = null
  const open = async () => {
    try {
      const schema = await lakeSchema()
      return sqlCatalogSource(await openLake({ dir: lakeFolder(config) }), schema)
    } catch (error) {
      // The next query tries again what failed for this one.
      source = null
      throw error
    }
  }
  const runner = createSqlRunner({
    ...sqlRunnerDefaults,
    catalog: async () => (await (source ??= open()))(),
    timeoutMs: config.SQL_TIMEOUT_MS,
    ...limits,
  })
  source = open()
  source.catch(() => undefined)
  return runner
}
