import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from './config.ts'
import type { Definitions } from './definitions.ts'
import { openQuery, type Query } from '../edges/duckdb/query.ts'
import { openLake } from '../lake/lake.ts'
import { sqlCatalog } from '../lake/sql-catalog.ts'

/** Our own SQL over one version of the lake. Reads only; spills outside of it. */
export async function withLakeQuery<Result>(
  config: Pick<Config, 'DATA_DIR'>,
  { manifest }: Pick<Definitions, 'manifest'>,
  work: (query: Query) => Promise<Result>,
): Promise<Result> {
  const { setup } = await sqlCatalog(await openLake({ dir: join(config.DATA_DIR, 'lake') }), manifest)
  const tempDir = await mkdtemp(join(tmpdir(), 'riverbank-query-'))
  try {
    const query = await openQuery({ threads: 2, memoryMb: 2_048, tempDir, tempMb: 16_384, setup })
    try {
      return await work(query)
    } finally {
      query.close()
    }
  } finally {
    await rm(tempDir, { recursive: true, force: true })
  }
}

/** Of the lake's payments, milliseconds; null while there are none. */
export async function paymentSpan(query: Query): Promise<{ readonly firstMs: number; readonly lastMs: number } | null> {
  const [row] = await query.rows('SELECT min(payment_time_ms) AS first, max(payment_time_ms) AS last FROM scores')
  if (row?.['first'] === null || row?.['first'] === undefined) return null
  return { firstMs: Number(row['first']), lastMs: Number(row['last']) }
}
