import { literal } from '../../base/sql.ts'
import { DuckDBBlobValue, DuckDBDoubleVector, DuckDBInstance, DuckDBTimestampValue } from '@duckdb/node-api'
import type { DuckDBConnection, DuckDBDataChunk, DuckDBResult, DuckDBValue } from '@duckdb/node-api'
import { assert, RiverbankError } from '../../base/errors.ts'

export interface QueryOptions {
  readonly threads: number
  readonly memoryMb: number
  /** The folder to which large queries spill, and how much they may spill. */
  readonly tempDir: string
  readonly tempMb: number
  /** Statements to run first, such as those of an SqlCatalog. */
  readonly setup: readonly string[]
}

/** Doubles keep their bits (-0, NaN); BIGINT is a number where that is exact; TIMESTAMP is milliseconds; BLOB bytes. */
export type SqlValue = string | number | bigint | boolean | Uint8Array | null

/** One connection to a database: one statement at a time, and temporary tables of its own. */
export interface ConnectedQuery {
  run(sql: string): Promise<void>
  /** All rows at once: for results that fit into memory. */
  rows(sql: string): Promise<readonly Readonly<Record<string, SqlValue>>[]>
  /** Hands over rows as they come, at most about 2,000 at a time, each in the order of the columns. */
  each(sql: string, take: (rows: readonly (readonly SqlValue[])[]) => void | Promise<void>): Promise<void>
  /**
   * Hands over columns as they come: a DOUBLE is the database's own array, to be read before the promise resolves, in
   * which NULL is any number; all others must be VARCHAR.
   */
  columns(sql: string, take: (columns: readonly QueryColumn[], rows: number) => void | Promise<void>): Promise<void>
  close(): void
}

/** A database for SQL that this project wrote: training, proofs, compaction. Never give it a user's SQL. */
export interface Query extends ConnectedQuery {
  /** Another connection, for statements that run at the same time. Close it before the database. */
  beside(): Promise<ConnectedQuery>
  /** Ends the running and all later statements of every connection with `query_failed`. */
  interrupt(): void
}

export type QueryColumn = Float64Array | readonly (string | null)[]

/** Errors: `query_failed`, with DuckDB's message. */
export async function openQuery(options: QueryOptions): Promise<Query> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(options.threads),
    memory_limit: `${options.memoryMb}MB`,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
  const running = new Running()
  const query = await connect(instance, running)
  try {
    await query.run(`SET temp_directory = ${literal(options.tempDir)}`)
    await query.run(`SET max_temp_directory_size = '${options.tempMb}MB'`)
    for (const sql of options.setup) await query.run(sql)
  } catch (error) {
    query.close()
    instance.closeSync()
    throw error
  }
  return {
    ...query,
    beside: () => connect(instance, running),
    interrupt: () => running.interrupt(),
    close() {
      query.close()
      instance.closeSync()
    },
  }
}

/** The connections to one database. */
class Running {
  isInterrupted = false
  readonly connections = new Set<DuckDBConnection>()

  interrupt(): void {
    this.isInterrupted = true
    for (const connection of this.connections) connection.interrupt()
  }
}

async function connect(instance: DuckDBInstance, running: Running): Promise<ConnectedQuery> {
  const connection = await instance.connect()
  running.connections.add(connection)

  async function attempt<Result>(sql: string, work: () => Promise<Result>): Promise<Result> {
    try {
      if (running.isInterrupted) throw new Error('interrupted')
      return await work()
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause)
      throw new RiverbankError('query_failed', `${said} (in: ${sql.slice(0, 200)})`, { cause })
    }
  }

  const run = (sql: string) =>
    attempt(sql, async () => {
      await connection.run(sql)
    })
  const close = () => {
    running.connections.delete(connection)
    connection.closeSync()
  }
  try {
    await run("SET TimeZone = 'UTC'")
  } catch (error) {
    close()
    throw error
  }
  return {
    run,
    rows: (sql) =>
      attempt(sql, async () => {
        const reader = await connection.runAndReadAll(sql)
        return reader
          .getRowObjects()
          .map((row) => Object.fromEntries(Object.entries(row).map(([column, value]) => [column, cell(value)])))
      }),
    each: (sql, take) =>
      attempt(sql, async () => {
        const result = await connection.stream(sql)
        for (;;) {
          const chunk = await result.fetchChunk()
          if (chunk === null || chunk.rowCount === 0) return
          await take(chunk.getRows().map((row) => row.map(cell)))
        }
      }),
    columns: (sql, take) => attempt(sql, async () => eachColumns(await connection.stream(sql), take)),
    close,
  }
}

async function eachColumns(result: DuckDBResult, take: Parameters<Query['columns']>[1]): Promise<void> {
  let next = result.fetchChunk()
  for (;;) {
    const chunk = await next
    if (chunk === null || chunk.rowCount === 0) return
    const columns = Array.from({ length: chunk.columnCount }, (_, i) => columnOf(chunk, i))
    // The database fetches the next rows while the caller reads these; it may fail before anything awaits it.
    next = result.fetchChunk()
    const settled = next.then(
      () => undefined,
      () => undefined,
    )
    try {
      await take(columns, chunk.rowCount)
    } catch (error) {
      // The connection must stay open until the fetch has settled.
      await settled
      throw error
    }
  }
}

function columnOf(chunk: DuckDBDataChunk, index: number): QueryColumn {
  const vector = chunk.getColumnVector(index)
  if (vector instanceof DuckDBDoubleVector) {
    // The library exposes single items only; the array is inside.
    const items: unknown = Reflect.get(vector, 'items')
    assert(items instanceof Float64Array, 'a vector of doubles has them side by side')
    return items
  }
  return Array.from({ length: chunk.rowCount }, (_, row) => {
    const item: unknown = vector.getItem(row)
    assert(item === null || typeof item === 'string', 'a column that is read whole has doubles or texts')
    return item
  })
}

function cell(value: DuckDBValue): SqlValue {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }
  if (value === null || typeof value !== 'object') return value
  if (value instanceof DuckDBTimestampValue) return Number(value.micros / 1000n)
  if (value instanceof DuckDBBlobValue) return value.bytes
  return String(value)
}
