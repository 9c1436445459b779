import { openQuery } from '../../../src/edges/duckdb/query.ts'
import type { SqlValue } from '../../../src/edges/duckdb/query.ts'
import type { Lake } from '../../../src/lake/commit/lake.ts'
import { sqlCatalog } from '../../../src/lake/tables/sql-catalog.ts'
import { schema } from './feed.ts'

export async function ask(lake: Lake, sql: string): Promise<readonly Readonly<Record<string, SqlValue>>[]> {
  const { setup } = await sqlCatalog(lake, schema)
  const query = await openQuery({ threads: 1, memoryMb: 512, tempDir: lake.dir, tempMb: 0, setup })
  try {
    return await query.rows(sql)
  } finally {
    query.close()
  }
}

/** Every offset of a topic that some row holds, in order: I5 wants each exactly once. */
export async function offsets(lake: Lake, topic: string, partition = 0): Promise<readonly number[]> {
  const tables = ['events', 'scores', 'observations', 'unreadable'].map(
    (table) => `SELECT log_topic, log_partition, log_offset FROM ${table}`,
  )
  const found = await ask(
    lake,
    `SELECT log_offset FROM (${tables.join(' UNION ALL ')})
     WHERE log_topic = '${topic}' AND log_partition = ${partition} ORDER BY log_offset`,
  )
  return found.map((row) => Number(row['log_offset']))
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

/** Waits for a condition, never for luck. */
export async function until(condition: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = Date.now() + deadlineMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('the condition did not come true in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
