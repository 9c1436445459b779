import { describe, expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { eventLimits, idPattern } from '../../../src/events/envelope.ts'
import { eventErrorCodes } from '../../../src/events/event-error-code.ts'
import { serveLimits } from '../../../src/serve/http/limits.ts'
import { problemCodes } from '../../../src/serve/http/problem-codes.ts'
import { heardAfter } from '../../support/busy-loop.ts'
import { postJson, problemOf, serveFixture } from '../support/serve-fixture.ts'

describe('readiness', () => {
  test('is 200 when every probe is, and 503 with every reason when one is not', async () => {
    const probes = [
      { name: 'log', check: async () => null },
      { name: 'states', check: async () => 'rebuilding' },
      { name: 'lake', check: () => Promise.reject(new Error('no folder')) },
      { name: 'model', check: () => new Promise<null>(() => undefined) },
    ]
    const limits = { ...serveLimits, probeTimeoutMs: 20 }
    const ready = await serveFixture({ deps: { probes: probes.slice(0, 1) } }).app.request('/readyz')
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready', checks: { log: 'ok' } }])
    const response = await serveFixture({ deps: { probes, limits } }).app.request('/readyz')
    expect(response.status).toBe(503)
    const problem = await problemOf(response, 'not_ready')
    expect(problem['reasons']).toEqual(['states: rebuilding', 'lake: no folder', 'model: no answer within 20 ms'])
    expect(problem['checks']).toMatchObject({ log: 'ok', states: 'rebuilding' })
  })

  test('is 200 and degraded when only what is beside this role is not well', async () => {
    const probes = [
      { name: 'log', check: async () => null },
      { name: 'roles', isAdvisory: true, check: async () => 'process-1 is down' },
    ]
    const response = await serveFixture({ deps: { probes } }).app.request('/readyz')
    const checks = { log: 'ok', roles: 'process-1 is down' }
    expect([response.status, await response.json()]).toEqual([200, { status: 'degraded', checks }])
  })

  test('is 200 although the loop was busy for longer than a probe may take', async () => {
    const check = async () => {
      await heardAfter(500)
      return null
    }
    const limits = { ...serveLimits, probeTimeoutMs: 100 }
    const { app } = serveFixture({ deps: { probes: [{ name: 'log', check }], limits } })
    expect((await app.request('/readyz')).status).toBe(200)
  })

  test('liveness asks nobody', async () => {
    const probes = [{ name: 'log', check: async () => 'gone' }]
    expect((await serveFixture({ deps: { probes } }).app.request('/livez')).status).toBe(200)
  })
})

describe('SQL', () => {
  const result = {
    columns: [{ name: 'n', type: 'UBIGINT', json: 'string' as const }],
    rows: [['1'], ['9007199254740993']],
    rowCount: 2,
    truncated: false,
    elapsedMs: 3,
  }

  test('answers rows, and hands the query over as it is', async () => {
    const seen: string[] = []
    const run = async (sql: string) => {
      seen.push(sql)
      return result
    }
    const response = await serveFixture({ run }).app.request('/v1/sql', postJson({ sql: 'select 1' }))
    expect([response.status, await response.json(), seen]).toEqual([200, result, ['select 1']])
  })

  test.each([
    ['sql_invalid', 400],
    ['sql_forbidden', 403],
    ['sql_timeout', 504],
    ['sql_busy', 503],
    ['sql_starting', 503],
    ['sql_failed', 422],
    ['sql_too_large', 422],
  ])('%s is %i', async (code, status) => {
    const run = () => Promise.reject(new RiverbankError(code, 'because', { canRetry: code === 'sql_busy' }))
    const response = await serveFixture({ run }).app.request('/v1/sql', postJson({ sql: 'select 1' }))
    expect(response.status).toBe(status)
    expect((await problemOf(response, code))['detail']).toBe('because')
    expect(response.headers.has('retry-after')).toBe(code === 'sql_busy' || code === 'sql_starting')
  })

  test.each([{}, { sql: '' }, { sql: 7 }, [], { sql: 'x'.repeat(65_530) }])('refuses %j', async (body) => {
    const response = await serveFixture({ run: async () => result }).app.request('/v1/sql', postJson(body))
    expect([413, 422]).toContain(response.status)
    await problemOf(response, response.status === 413 ? 'body_too_large' : 'invalid_request')
  })
})

interface OpenApi {
  readonly openapi: string
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, { properties: Record<string, unknown> }> }
}
interface Operation {
  readonly operationId: string
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[]
  readonly responses: Record<string, { readonly description: string }>
  readonly security: readonly object[]
}

describe('the API description', () => {
  const read = async () => (await (await serveFixture().app.request('/openapi.json')).json()) as OpenApi

  test('has every route of the index, and the index every route of it', async () => {
    const { app } = serveFixture()
    const index = await (await app.request('/', { headers: { accept: 'application/json' } })).json()
    const { routes } = index as { routes: { method: string; path: string }[] }
    const listed = routes.map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    const { openapi, paths } = await read()
    expect(openapi).toBe('3.1.0')
    const described = Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((m) => `${m} ${path}`))
    expect(described.toSorted()).toEqual(listed.toSorted())
    expect(described).toHaveLength(18)
  })

  test('has unique operations, all path parameters, and a problem on every status of an error', async () => {
    const { paths } = await read()
    const operations = Object.entries(paths).flatMap(([path, item]) => Object.values(item).map((o) => ({ path, ...o })))
    expect(new Set(operations.map((o) => o.operationId)).size).toBe(operations.length)
    for (const { path, parameters = [], responses, security } of operations) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
      expect(parameters.filter((p) => p.in === 'path').map((p) => p.name)).toEqual(named)
      expect(parameters.filter((p) => p.in !== 'path').every((p) => !p.required)).toBe(true)
      expect(Object.keys(responses).some((status) => status === '200' || status === '202')).toBe(true)
      expect(security).not.toHaveLength(0)
    }
    const events = paths['/v1/events']!['post']!
    const described = Object.values(events.responses)
      .map((r) => r.description)
      .join()
    // A repeat is answered as the first was; from the log it is a dead letter.
    const refusedCodes = eventErrorCodes.filter((code) => code !== 'duplicate_event')
    for (const code of [...refusedCodes, 'event_conflict', 'unauthorized', 'log_full'])
      expect(described).toContain(code)
  })

  test('has every problem code and the data of every event version', async () => {
    const { components } = await read()
    expect(components.schemas['Problem']!.properties['code']).toEqual({ type: 'string', enum: problemCodes })
    expect(components.schemas).toHaveProperty(['payment.initiated.v1'])
    expect(components.schemas['payment.initiated.v2']!.properties).toHaveProperty('currency')
    expect(components.schemas['fraud.reported.v1']!.properties['paymentId']).toMatchObject({
      maxLength: eventLimits.maxEventIdLength,
      pattern: idPattern.source,
    })
  })

  test('the index is text with a command for every route', async () => {
    const response = await serveFixture().app.request('http://127.0.0.1:8080/')
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    const text = await response.text()
    expect(text.match(/^ {2}curl -s/gm)).toHaveLength(18)
    expect(text).toContain("curl -s 'http://127.0.0.1:8080/v1/scores/e-1'")
    expect(text).not.toContain('$base')
  })
})
