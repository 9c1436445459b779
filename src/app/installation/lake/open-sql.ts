import type { Config } from '../settings/config.ts'
import type { Definitions } from '../settings/definitions.ts'
import { lakeFolder } from './lake-folder.ts'
import { createSqlRunner, sqlRunnerDefaults } from '../../../edges/duckdb/sql-runner.ts'
import { openLake } from '../../../lake/commit/lake.ts'
import { sqlCatalogSource } from '../../../lake/tables/sql-catalog.ts'
import type { SqlRunner } from '../../../ports/sql.ts'

/** Runs SQL over the lake in processes of its own; the limits depend on the trust in the caller. */
export async function openSql(
  config: Config,
  { lakeSchema }: Pick<Definitions, 'lakeSchema'>,
  limits: { readonly memoryMb: number; readonly maxRows: number; readonly spare?: number },
): Promise<SqlRunner> {
  const lake = await openLake({ dir: lakeFolder(config) })
  return createSqlRunner({
    ...sqlRunnerDefaults,
    catalog: sqlCatalogSource(lake, lakeSchema),
    timeoutMs: config.SQL_TIMEOUT_MS,
    ...limits,
  })
}
