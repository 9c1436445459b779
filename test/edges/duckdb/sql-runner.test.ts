import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSqlRunner, sqlRunnerDefaults } from '../../../src/edges/duckdb/sql-runner.ts'
import type { SqlRunnerOptions } from '../../../src/edges/duckdb/sql-runner.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import type { Lake } from '../../../src/lake/commit/lake.ts'
import { sqlCatalogSource } from '../../../src/lake/tables/sql-catalog.ts'
import type { SqlRunner } from '../../../src/ports/sql.ts'
import {
  batchOf,
  claimOf,
  day,
  schema,
  materializer,
  payment,
  record,
  tempFolder,
  topics,
} from '../../lake/support/feed.ts'
import { range } from '../../lake/support/read.ts'

const folder = tempFolder()
const secret = join(folder.dir, 'secret.csv')
let lake: Lake
let runner: SqlRunner

function runnerWith(change: Partial<SqlRunnerOptions> = {}): SqlRunner {
  return createSqlRunner({
    ...sqlRunnerDefaults,
    catalog: sqlCatalogSource(lake, schema),
    timeoutMs: 15_000,
    maxRows: 1_000,
    memoryMb: 256,
    concurrency: 1,
    ...change,
  })
}

beforeAll(async () => {
  lake = await openLake({ dir: join(folder.dir, 'lake') })
  writeFileSync(secret, 'a,b\n1,2\n')
  const m = await materializer(lake)
  const assignment = claimOf(topics.events, 0)
  await m.assigned(assignment)
  const bad = record(topics.events, 50, new Uint8Array([1, 2, 255]))
  await m.batch(
    assignment,
    batchOf([...range(0, 50).map((i) => record(topics.events, i, payment(`p${i}`, day + i))), bad]),
  )
  await m.stop()
  runner = runnerWith()
})
afterAll(async () => {
  await runner.close()
  folder.remove()
})

describe('allowed', () => {
  test.each([
    ['SELECT count(*) FROM payments', [[50]]],
    ['FROM payments SELECT sum(amount_minor), min(payment_time)', [[61_700, '2026-03-01T00:00:00.000Z']]],
    ['WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b', [[1, 2]]],
    ['WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT max(n) FROM r', [[5]]],
    ['SELECT p.payment_id FROM payments p JOIN events e USING (log_offset) ORDER BY e.log_offset LIMIT 1', [['p0']]],
    ['SELECT payment_id, row_number() OVER (ORDER BY log_offset DESC) AS n FROM payments QUALIFY n = 1', [['p49', 1]]],
    [
      'SELECT lag(log_offset) OVER w, sum(log_offset) OVER w FROM payments WINDOW w AS (ORDER BY log_offset) LIMIT 2',
      [
        [null, 0],
        [0, 1],
      ],
    ],
    ['SELECT unnest([1, 2])', [[1], [2]]],
    [
      'SELECT * FROM range(2), unnest([7]) u(v)',
      [
        [0, 7],
        [1, 7],
      ],
    ],
    ['SELECT (SELECT max(log_offset) FROM payments) AS top, EXISTS (SELECT 1 FROM labels)', [[49, false]]],
    ["SELECT json_extract_string(body, '$.id') FROM events WHERE valid ORDER BY log_offset LIMIT 1", [['p0']]],
    ['SELECT raw, valid FROM events WHERE NOT valid', [['AQL/', false]]],
    [
      'SELECT 9007199254740991, 2::HUGEINT, 3::UBIGINT, 1.5::DECIMAL(4,2), -0.5, 1/0, true, NULL',
      [[9_007_199_254_740_991, 2, '3', '1.50', '-0.5', 'Infinity', true, null]],
    ],
    [
      "SELECT DATE '2026-01-02', TIMESTAMP '2026-01-02 03:04:05.000006', INTERVAL 1 DAY, {'a': 1}, MAP {'k': 2}",
      [['2026-01-02', '2026-01-02T03:04:05.000006Z', '1 day', { a: 1 }, [['k', 2]]]],
    ],
    [
      'SELECT list_transform([1, 2], lambda x : x + 1), [x * 2 FOR x IN [1, 2, 3] IF x > 1]',
      [
        [
          [2, 3],
          [4, 6],
        ],
      ],
    ],
    [
      "SELECT CASE WHEN 'abc' LIKE 'a%' THEN date_trunc('hour', TIMESTAMP '2026-01-01 05:10:00')::VARCHAR END",
      [['2026-01-01 05:00:00']],
    ],
    ['SELECT count(*) FILTER (WHERE log_offset > 9), quantile_cont(log_offset, 0.5) FROM payments', [[40, 24.5]]],
    ['SELECT count(*) FROM (SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 2)', [[1]]],
    ['VALUES (1), (2)', [[1], [2]]],
    ["SELECT count(*) FROM training_set_as_of(TIMESTAMP '2030-01-01')", [[0]]],
    ['SELECT count(*) FROM (SHOW TABLES)', [[10]]],
    ['SELECT column_name FROM (DESCRIBE payments) LIMIT 1', [['payment_id']]],
    ["SELECT 'x; DROP TABLE y -- ''quoted'''", [["x; DROP TABLE y -- 'quoted'"]]],
    ['SELECT 1;', [[1]]],
  ])('%s', async (sql, rows) => {
    expect((await runner.run(sql)).rows).toEqual(rows)
  })

  test('SUMMARIZE, with the names and types of its columns', async () => {
    const { columns, rowCount } = await runner.run('SUMMARIZE payments')
    expect(columns[0]).toEqual({ name: 'column_name', type: 'VARCHAR', json: 'string' })
    expect(rowCount).toBeGreaterThan(5)
  })

  test.each([
    ['TINYINT', 'number'],
    ['INTEGER', 'number'],
    ['BIGINT', 'number'],
    ['HUGEINT', 'number'],
    ['UINTEGER', 'number'],
    ['UBIGINT', 'string'],
    ['UHUGEINT', 'string'],
    ['BIGNUM', 'string'],
    ['DECIMAL(18,2)', 'string'],
    ['FLOAT', 'number'],
    ['DOUBLE', 'number'],
    ['VARCHAR', 'string'],
    ['BOOLEAN', 'boolean'],
  ])('every %s is a JSON %s, and the column says so', async (type, json) => {
    const { columns, rows } = await runner.run(`SELECT v::${type} FROM (VALUES (0), (1), (NULL)) t(v)`)
    expect(columns).toEqual([{ name: expect.any(String) as string, type, json }])
    expect(rows.map(([value]) => (value === null ? null : typeof value))).toEqual([json, json, null])
  })

  test.each([
    ['[1::UBIGINT]', 'array', ['1']],
    [
      "{'a': 18446744073709551615::UBIGINT, 'b': [2::BIGINT, NULL]}",
      'object',
      { a: '18446744073709551615', b: [2, null] },
    ],
    ['MAP {1::UBIGINT: 2::HUGEINT}', 'array', [['1', 2]]],
    ['hash(1)', 'string', expect.stringMatching(/^\d+$/)],
    ['sum(1::BIGINT)', 'number', 1],
  ])('%s is a JSON %s of what its type says, at every depth', async (expression, json, value) => {
    const { columns, rows } = await runner.run(`SELECT ${expression}`)
    expect([columns[0]?.json, rows[0]?.[0]]).toEqual([json, value])
  })

  test.each(['9007199254740993', '9007199254740993::HUGEINT', '-9007199254740993', '[9007199254740993]'])(
    'the whole number %s is refused rather than rounded, with what to do',
    async (expression) => {
      const refused = runner.run(`SELECT 1 AS one, ${expression} AS big`)
      await expect(refused).rejects.toMatchObject({
        code: 'sql_invalid',
        message: expect.stringMatching(/"big".*VARCHAR/) as string,
      })
      const cast = await runner.run(`SELECT (${expression})::VARCHAR, 9007199254740993::DOUBLE`)
      expect(cast.rows).toEqual([[expect.stringContaining('9007199254740993') as string, 9_007_199_254_740_992]])
    },
  )

  test('a result is cut at the row limit, and says so', async () => {
    const cut = await runner.run('SELECT * FROM range(5000)')
    expect([cut.rowCount, cut.rows.length, cut.truncated]).toEqual([1000, 1000, true])
    expect((await runner.run('SELECT * FROM range(1000)')).truncated).toBe(false)
  })
})

describe('forbidden', () => {
  const out = join(folder.dir, 'out')
  test.each([
    `COPY payments TO '${out}'`,
    `COPY (SELECT 1) TO '${join(folder.dir, 'lake', 'events', 'x.parquet')}'`,
    `EXPLAIN ANALYZE COPY (SELECT 1) TO '${join(folder.dir, 'lake', 'events', 'x.parquet')}'`,
    `ATTACH '${join(folder.dir, 'lake', 'events', 'x.db')}' AS x`,
    'INSTALL httpfs',
    'LOAD httpfs',
    "SET memory_limit = '10GB'",
    'RESET memory_limit',
    'PRAGMA database_list',
    'CALL pragma_version()',
    "EXPORT DATABASE 'x'",
    'CREATE TABLE x AS SELECT 1',
    'CREATE MACRO m() AS 1',
    'DROP VIEW payments',
    'INSERT INTO payments VALUES (1)',
    'DELETE FROM payments',
    'PREPARE q AS SELECT 1',
    'EXECUTE q',
    'BEGIN',
    'USE memory',
    'CHECKPOINT',
    'VACUUM',
    'SELECT 1; SELECT 2',
    'SELECT 1; DROP VIEW payments',
    '',
    ';',
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    `SELECT * FROM read_parquet('${join(folder.dir, 'lake', 'events', '*', '*.parquet')}')`,
    "SELECT * FROM parquet_metadata('x.parquet')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    `SELECT * FROM '${secret}'`,
    `SELECT * FROM "${secret}"`,
    `WITH "${secret}" AS (SELECT 1) SELECT * FROM "${secret}"`,
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('payments')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT json_serialize_plan('SELECT 1')",
    "SELECT nextval('s')",
    'SELECT sleep_ms(1000)',
    'SELECT pg_sleep(1)',
    "SELECT write_log('x')",
    'SELECT current_query()',
    'SELECT * FROM duckdb_settings()',
    'SELECT * FROM duckdb_secrets()',
    'SELECT * FROM duckdb_views',
    'SELECT * FROM duckdb_functions()',
    'SELECT * FROM pragma_table_info(payments)',
    'SELECT * FROM information_schema.tables',
    'SELECT * FROM pg_catalog.pg_tables',
    'SELECT * FROM sqlite_master',
    'SELECT * FROM main.payments',
    'SELECT pg_catalog.format_type(1, 1)',
    'SELECT x.main.abs(1)',
    'WITH duckdb_settings AS (SELECT 1) SELECT * FROM duckdb_settings',
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM payments WHERE payment_id IN (SELECT content FROM read_text('/etc/passwd'))",
    "WITH x AS (FROM read_text('/etc/passwd')) SELECT 1",
    "SELECT list_transform([1], lambda x : getenv('HOME'))",
    "SELECT sum(1) OVER (ORDER BY getenv('HOME'))",
    "SELECT 1 ORDER BY getenv('HOME')",
    "SELECT 1 LIMIT (SELECT length(getenv('HOME')))",
    "SELECT * REPLACE (getenv('HOME') AS payment_id) FROM payments",
    "DESCRIBE SELECT * FROM read_text('/etc/passwd')",
    'SUMMARIZE SELECT * FROM duckdb_settings()',
    'SHOW ALL TABLES',
    'SHOW DATABASES',
    "SELECT * FROM (PIVOT payments ON getenv('HOME') USING count(*))",
    "SELECT * FROM payments JOIN read_text('/etc/passwd') ON true",
    "VALUES ((SELECT getenv('HOME')))",
    "SELECT * FROM unnest([getenv('HOME')])",
    'SELECT * FROM repeat_row(1, num_rows = 10)',
    'SELECT * FROM test_all_types()',
  ])('%s', async (sql) => {
    await expect(runner.run(sql)).rejects.toMatchObject({
      code: expect.stringMatching(/^sql_(forbidden|invalid)$/) as string,
    })
  })

  test('nothing of that wrote a file or hurt the lake', async () => {
    expect(existsSync(out)).toBe(false)
    expect(readdirSync(join(folder.dir, 'lake', 'events'))).toEqual(['dt=2026-03-01'])
    expect((await runner.run('SELECT count(*) FROM events')).rows).toEqual([[51]])
  })

  test('a mistake is named', async () => {
    await expect(runner.run('SELEC 1')).rejects.toMatchObject({ code: 'sql_invalid' })
    await expect(runner.run('SELECT amount FROM payments')).rejects.toMatchObject({
      code: 'sql_invalid',
      message: expect.stringContaining('amount_minor') as string,
    })
    await expect(runner.run('SELECT * FROM paymentz')).rejects.toMatchObject({
      code: 'sql_forbidden',
      message: expect.stringContaining('payments') as string,
    })
    await expect(runner.run(`SELECT '${'x'.repeat(70_000)}'`)).rejects.toMatchObject({ code: 'sql_too_large' })
    await expect(runner.run(`SELECT 1${' + 1'.repeat(3000)}`)).rejects.toMatchObject({
      code: expect.stringMatching(/^sql_/) as string,
    })
  })
})
