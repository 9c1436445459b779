import { identifier, literal } from '../../../base/sql.ts'
import { openQuery } from '../../../edges/duckdb/query.ts'
import { onlyFromWhole } from '../../../lake/commit/damage.ts'
import { createIdListKeeper, type KeepLimits } from '../../../lake/files/id-lists.ts'
import type { Lake } from '../../../lake/commit/lake.ts'
import type { LakeSchema } from '../../../lake/tables/lake-schema.ts'
import type { SqlValue } from '../../../edges/duckdb/query.ts'

const memoryMb = 256

/**
 * Keeps the lists of ids of a lake complete: see {@link createIdListKeeper}. A damaged file ends a turn
 * (`lake_corrupt`).
 */
export function keepIdLists(lake: Lake, schema: LakeSchema): (limits: KeepLimits) => Promise<number> {
  return createIdListKeeper(lake, schema, async (file, { aggregate, id }) => {
    const query = await openQuery({ threads: 1, memoryMb, tempDir: lake.dir, tempMb: 0, setup: [] })
    try {
      const sql = `SELECT ${identifier(aggregate)} AS aggregate, ${identifier(id)} AS id FROM read_parquet(${literal(lake.pathOf(file))})`
      const rows = await onlyFromWhole(lake, { files: [file], lost: [] }, () => query.rows(sql))
      return rows.map((row) => [textOf(row['aggregate']), textOf(row['id'])] as const)
    } finally {
      query.close()
    }
  })
}

function textOf(cell: SqlValue | undefined): string | null {
  return typeof cell === 'string' ? cell : null
}
