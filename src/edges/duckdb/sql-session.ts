import { literal } from '../../base/sql.ts'
import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import { assert, RiverbankError } from '../../base/errors.ts'
import type { SqlCatalog, SqlResult } from '../../ports/sql.ts'
import { allowedFunctions } from './sql-functions.ts'
import { checkTree, harmlessTableFunctions } from './sql-guard.ts'
import type { SqlAllowance } from './sql-guard.ts'
import { jsonForm } from './sql-values.ts'
import { isRecord } from '../../base/record.ts'

export interface SessionLimits {
  readonly threads: number
  readonly memoryMb: number
  /** Disk that a query may spill to. */
  readonly tempMb: number
  readonly tempDir: string
  readonly maxRows: number
  /** The size of the rows as JSON. */
  readonly maxBytes: number
}

/** A database that can read the files of one catalog, and nothing else; see `harden` for how. */
export interface SqlSession {
  readonly version: string
  query(sql: string): Promise<SqlResult>
  /** Ends the running query within some 25 ms. */
  interrupt(): void
  close(): void
}

/** Loads the library and runs a statement, so that the first session is not the slow one. */
export async function warmUp(): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run('SELECT 1')
  connection.closeSync()
  instance.closeSync()
}

export async function openSession(catalog: SqlCatalog, limits: SessionLimits): Promise<SqlSession> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await harden(connection, catalog, limits)
  const allowance: SqlAllowance = {
    relations: new Set(catalog.relations),
    tableFunctions: new Set([...harmlessTableFunctions, ...catalog.tableFunctions]),
    functions: await allowedFunctions(connection),
  }
  return {
    version: catalog.version,
    async query(sql) {
      const startedMs = performance.now()
      const checked = await checkedSql(connection, sql, allowance)
      const result = await collect(connection, checked, limits)
      return { ...result, elapsedMs: Math.round((performance.now() - startedMs) * 10) / 10 }
    },
    interrupt: () => connection.interrupt(),
    close() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

/** The order matters: the last setting locks the configuration. */
async function harden(connection: DuckDBConnection, catalog: SqlCatalog, limits: SessionLimits): Promise<void> {
  const directories = catalog.directories.filter((directory) => directory.trim() !== '').map(literal)
  const settings = [
    `SET threads = ${limits.threads}`,
    `SET memory_limit = '${limits.memoryMb}MB'`,
    `SET temp_directory = ${literal(limits.tempDir)}`,
    `SET max_temp_directory_size = '${limits.tempMb}MB'`,
    'SET max_expression_depth = 250',
    'SET autoinstall_known_extensions = false',
    'SET autoload_known_extensions = false',
    'SET allow_community_extensions = false',
    'SET allow_persistent_secrets = false',
    "SET TimeZone = 'UTC'",
    `SET allowed_directories = [${directories.join(', ')}]`,
    'SET enable_external_access = false',
    ...catalog.setup,
    'SET lock_configuration = true',
  ]
  for (const sql of settings) await connection.run(sql)
}

/**
 * The statement to run: parses and checks the text, writes it anew from the checked tree, and checks that text once
 * more, so that the checked text is the one that runs.
 */
async function checkedSql(connection: DuckDBConnection, sql: string, allowance: SqlAllowance): Promise<string> {
  const tree = await serialize(connection, sql)
  checkTree(JSON.parse(tree), allowance)
  const reader = await connection.runAndReadAll(`SELECT json_deserialize_sql(${literal(tree)}::JSON)`)
  const written = String(reader.getRows()[0]?.[0])
  checkTree(JSON.parse(await serialize(connection, written)), allowance)
  return written
}

async function serialize(connection: DuckDBConnection, sql: string): Promise<string> {
  const reader = await connection.runAndReadAll(`SELECT json_serialize_sql(${literal(sql)}::VARCHAR)`)
  const text = String(reader.getRows()[0]?.[0])
  const parsed: unknown = JSON.parse(text)
  assert(isRecord(parsed), 'a serialized statement is an object')
  if (parsed['error'] === true) {
    if (parsed['error_type'] === 'not implemented') {
      throw new RiverbankError('sql_forbidden', 'only one SELECT statement is allowed')
    }
    const told = parsed['error_message']
    throw new RiverbankError('sql_invalid', typeof told === 'string' ? told : 'the statement cannot be parsed')
  }
  const { statements } = parsed
  if (!Array.isArray(statements) || statements.length !== 1) {
    throw new RiverbankError('sql_forbidden', 'exactly one SELECT statement is allowed')
  }
  return text
}

async function collect(
  connection: DuckDBConnection,
  sql: string,
  limits: SessionLimits,
): Promise<Omit<SqlResult, 'elapsedMs'>> {
  const result = await connection.stream(sql)
  const names = result.columnNames()
  const forms = result.columnTypes().map((type, i) => jsonForm(type, names[i] ?? ''))
  const columns = result.columnTypes().map((type, i) => {
    return { name: names[i] ?? '', type: type.toString(), json: forms[i]?.json ?? 'string' }
  })
  const rows: unknown[][] = []
  let bytes = 0
  for (;;) {
    const chunk = await result.fetchChunk()
    if (chunk === null || chunk.rowCount === 0) return { columns, rows, rowCount: rows.length, truncated: false }
    for (let row = 0; row < chunk.rowCount; row += 1) {
      if (rows.length === limits.maxRows) return { columns, rows, rowCount: rows.length, truncated: true }
      const values = chunk.getRowValues(row).map((value, i) => forms[i]?.of(value))
      bytes += JSON.stringify(values).length
      if (bytes > limits.maxBytes) {
        throw new RiverbankError('sql_too_large', `the result is larger than ${limits.maxBytes} bytes`)
      }
      rows.push(values)
    }
  }
}
