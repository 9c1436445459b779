import { z } from 'zod'
import { parseJson, readBody, requireMediaType } from './body.ts'
import type { ServeDependencies } from './dependencies.ts'
import { parseBody } from './parameters.ts'
import { jsonResponse, type Route, type ServeContext } from './route.ts'
import { named } from './schemas.ts'

/** Queries over the lake. What is allowed, and how much, the runner decides. */
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
        detail: 'One SELECT over the views of the lake. A client that disconnects ends its query.',
        tag: 'sql',
        body: { 'application/json': schema },
        answers: { 200: { description: 'The rows', content: { 'application/json': resultSchema } } },
        problems: [
          'invalid_request',
          'sql_invalid',
          'sql_forbidden',
          'sql_timeout',
          'sql_busy',
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

const resultSchema = named(
  'SqlResult',
  z.object({
    columns: z.array(z.object({ name: z.string(), type: z.string() })),
    rows: z.array(z.array(z.unknown())),
    rowCount: z.number().int(),
    truncated: z.boolean().describe('there were more rows'),
    elapsedMs: z.number(),
  }),
)
