import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { openTableWriter } from '../../src/edges/duckdb/table-writer.ts'
import { trainingRows, type TrainingRowsOptions } from './rows.ts'

/** Rows of 30 columns take about 250 bytes; half a million of them fit with room to spare. */
const writer = { threads: 1, memoryMb: 4_096, rowGroupRows: 100_000 } as const

/**
 * Writes the training rows as one Parquet file for train.py: payment_id, customer_id, payment_time_ms, tx_day, label,
 * and one DOUBLE per feature of the service. Answers how many rows there are.
 */
export async function exportTrainingTable(path: string, options: TrainingRowsOptions): Promise<number> {
  const { rows, columns } = trainingRows(options)
  await mkdir(dirname(path), { recursive: true })
  const staged = `${path}.new`
  await rm(staged, { force: true })
  const tables = await openTableWriter(writer)
  try {
    await tables.write(staged, columns, rows)
  } finally {
    await tables.close()
  }
  await rename(staged, path)
  return rows
}
