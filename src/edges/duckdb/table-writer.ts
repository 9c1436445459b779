import { identifier, literal } from '../../base/sql.ts'
import { setImmediate } from 'node:timers/promises'
import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DOUBLE,
  DuckDBBlobValue,
  DuckDBDataChunk,
  DuckDBInstance,
  DuckDBTimestampValue,
  TIMESTAMP,
  VARCHAR,
} from '@duckdb/node-api'
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { RiverbankError } from '../../base/errors.ts'
import type { ColumnData, ColumnType, TableWriter } from '../../ports/tables.ts'

export interface TableWriterOptions {
  readonly threads: number
  /** Megabytes that the database may hold: a write beyond them fails, because it does not spill. */
  readonly memoryMb: number
  readonly rowGroupRows: number
}

export interface DatabaseWriter extends TableWriter {
  /** Bytes that the database reports to hold. Between two files it is close to none. */
  heldBytes(): Promise<number>
}

/** Moves so many rows into DuckDB in one turn of the event loop: its vector size, about 3 ms of 80 columns. */
const chunkRows = 2048

/**
 * The allocator gives freed memory back in the background or, with a single thread, hardly ever. The writer sets it
 * before each file, because any other database of this process turns it off when it closes.
 */
const giveBack = 'SET GLOBAL allocator_background_threads = true'

const types = { BOOLEAN, BIGINT, DOUBLE, VARCHAR, BLOB, TIMESTAMP } as const satisfies Record<ColumnType, unknown>

/** A writer in its own in-memory database; files are written one after the other. */
export async function openTableWriter(options: TableWriterOptions): Promise<DatabaseWriter> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(options.threads),
    memory_limit: `${options.memoryMb}MB`,
    // A spill would only move a bounded buffer to disk and back.
    max_temp_directory_size: '0MB',
    preserve_insertion_order: 'true',
    // No query reads a merged file again: a cache of such files fills the memory limit.
    enable_external_file_cache: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_persistent_secrets: 'false',
  })
  const connection = await instance.connect()
  let tail: Promise<unknown> = Promise.resolve()

  async function write(path: string, columns: readonly ColumnData[], rows: number): Promise<void> {
    try {
      await connection.run(giveBack)
      await fill(connection, columns, rows)
      await copy(connection, 'staged', path, options.rowGroupRows)
    } catch (cause) {
      throw writeFailure(path, cause)
    } finally {
      await connection.run('DROP TABLE IF EXISTS staged')
    }
  }

  async function merge(paths: readonly string[], path: string): Promise<number> {
    const sources = `read_parquet([${paths.map(literal).join(', ')}], hive_partitioning = false)`
    try {
      await connection.run(giveBack)
      return await copy(connection, `(SELECT * FROM ${sources})`, path, options.rowGroupRows)
    } catch (cause) {
      throw new RiverbankError('lake_write_failed', `cannot merge into ${path}`, { cause, canRetry: true })
    }
  }

  function serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = tail.then(work)
    tail = result.catch(() => undefined)
    return result
  }

  return {
    write: (path, columns, rows) => serially(() => write(path, columns, rows)),
    merge: (paths, path) => serially(() => merge(paths, path)),
    heldBytes: () => serially(() => heldBytes(connection)),
    async close() {
      await tail
      connection.closeSync()
      instance.closeSync()
    },
  }
}

/** The database's errors about values that it cannot take; all others are about disk or memory. */
const ofValues = /^(Conversion|Invalid Input|Mismatch Type|Out of Range|Serialization) Error/

function writeFailure(path: string, cause: unknown): RiverbankError {
  const isOfRows = cause instanceof TypeError || cause instanceof RangeError || ofValues.test(messageOf(cause))
  if (isOfRows) return new RiverbankError('lake_rows_refused', `cannot write ${path}: ${messageOf(cause)}`, { cause })
  return new RiverbankError('lake_write_failed', `cannot write ${path}`, { cause, canRetry: true })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function heldBytes(connection: DuckDBConnection): Promise<number> {
  const reader = await connection.runAndReadAll('SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()')
  return Number(reader.getRows()[0]?.[0] ?? 0)
}

async function fill(connection: DuckDBConnection, columns: readonly ColumnData[], rows: number): Promise<void> {
  const declared = columns.map((column) => `${identifier(column.name)} ${column.type}`)
  await connection.run(`CREATE TABLE staged (${declared.join(', ')})`)
  const appender = await connection.createAppender('staged')
  try {
    for (let start = 0; start < rows; start += chunkRows) {
      const count = Math.min(chunkRows, rows - start)
      const chunk = DuckDBDataChunk.create(
        columns.map(({ type }) => types[type]),
        count,
      )
      columns.forEach((column, index) => fillColumn(chunk, index, column, start, count))
      appender.appendDataChunk(chunk)
      await setImmediate()
    }
    appender.flushSync()
  } finally {
    appender.closeSync()
  }
}

function fillColumn(chunk: DuckDBDataChunk, index: number, column: ColumnData, start: number, count: number): void {
  const vector = chunk.getColumnVector(index)
  const { values, type } = column
  for (let row = 0; row < count; row += 1) {
    const value = values[start + row] ?? null
    vector.setItem(row, value === null || Number.isNaN(value) ? null : cell(type, value))
  }
  vector.flush()
}

function cell(type: ColumnType, value: number | string | Uint8Array): DuckDBValue {
  if (typeof value === 'string') return value
  if (typeof value !== 'number') return new DuckDBBlobValue(value)
  if (type === 'BIGINT') return BigInt(value)
  if (type === 'TIMESTAMP') return new DuckDBTimestampValue(BigInt(value) * 1000n)
  return type === 'BOOLEAN' ? value === 1 : value
}

/**
 * Writes without dictionaries: in a dictionary -0 and 0 are one entry, and -0 comes back as 0. The encodings of the
 * second format version are as small.
 */
async function copy(connection: DuckDBConnection, source: string, path: string, rowGroupRows: number): Promise<number> {
  const result = await connection.runAndReadAll(
    `COPY ${source} TO ${literal(path)} (FORMAT parquet, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 0,
       COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroupRows})`,
  )
  return Number(result.getRows()[0]?.[0])
}
