import { z } from 'zod'
import { parseJson, readBody, requireMediaType } from '../http/body.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { parseBody } from '../http/parameters.ts'
import { jsonResponse, type Route, type ServeContext } from '../http/route.ts'
import { named } from '../http/schemas.ts'

/** Queries over the lake. The runner decides which SQL it allows, and sets the limits. */
export function sqlRoutes(deps: ServeDependencies): Route[] {
  const schema = named('SqlRequest', z.object({ sql: z.string().min(1).max(deps.limits.sqlBytesMax) }))
  return [
    {
      method: 'POST',
      path: '/v1/sql',
      access: 'key',
      timeoutMs: deps.limits.sqlTimeoutMs,
      handle: (c) => runSql(c, deps, schema),
      description: {
        operationId: 'runSql',
        summary: 'Query the history',
        detail,
        tag: 'sql',
        body: { 'application/json': schema },
        answers: { 200: { description: 'The rows', content: { 'application/json': resultSchema } } },
        problems: [
          'invalid_request',
          'sql_invalid',
          'sql_forbidden',
          'sql_timeout',
          'sql_busy',
          'sql_starting',
          'sql_too_large',
          'sql_failed',
          'sql_cancelled',
        ],
        example: `curl -s '$base/v1/sql' -H 'content-type: application/json' -d '{"sql":"select count(*) from scores"}'`,
      },
    },
  ]
}

async function runSql(c: ServeContext, deps: ServeDependencies, schema: z.ZodType<{ sql: string }>): Promise<Response> {
  requireMediaType(c, ['application/json'])
  const { sql } = parseBody(schema, parseJson(await readBody(c, deps.limits.sqlBytesMax)))
  const result = await deps.sql.run(sql, { signal: c.req.raw.signal })
  return jsonResponse(c, 200, result)
}

const detail =
  'One SELECT over the views of the lake. A client that disconnects ends its query. One limit bounds the wait, the start ' +
  'and the run of a query: sql_busy (others ran) and sql_starting (no process was ready) say that it did not run and may ' +
  'be sent again after Retry-After, sql_timeout that it ran until the limit. The JSON type of a column follows from its ' +
  'SQL type, and columns[].json states it: whole numbers up to BIGINT and HUGEINT are numbers, and a value beyond 2^53 is ' +
  'refused with sql_invalid (cast it to VARCHAR or DOUBLE); UBIGINT, UHUGEINT and DECIMAL are strings; timestamps are ISO ' +
  '8601, BLOB is base64, MAP an array of pairs. NULL is null; NaN and infinities of a DOUBLE are strings.'

const resultSchema = named(
  'SqlResult',
  z.object({
    columns: z.array(
      z.object({
        name: z.string(),
        type: z.string().describe('the SQL type'),
        json: z
          .enum(['number', 'string', 'boolean', 'array', 'object'])
          .describe('the JSON type of every value of the column that is not null; NaN and infinities are strings'),
      }),
    ),
    rows: z.array(z.array(z.unknown())),
    rowCount: z.number().int(),
    truncated: z.boolean().describe('there were more rows'),
    elapsedMs: z.number(),
  }),
)
