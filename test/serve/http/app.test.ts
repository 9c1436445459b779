import { describe, expect, test } from 'vitest'
import { serveLimits } from '../../../src/serve/http/limits.ts'
import { paymentEvent, postJson, problemOf, serveFixture } from '../support/serve-fixture.ts'

const apiKey = 'a-key-of-some-length'
const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })

describe('routing', () => {
  test('an unknown route is 404, a known one with another method 405 that names what there is', async () => {
    const { app } = serveFixture()
    await problemOf(await app.request('/v2/events'), 'not_found')
    const get = await app.request('/v1/events')
    expect(get.headers.get('allow')).toBe('POST')
    await problemOf(get, 'method_not_allowed')
    const remove = await app.request('/v1/entities/customer/c-1/features', { method: 'DELETE' })
    expect(remove.headers.get('allow')).toBe('GET, HEAD')
    await problemOf(remove, 'method_not_allowed')
  })

  test.each([
    ['/v1/score-stream?customerId=596', 'customerId'],
    ['/v1/scores/p-1?aggregate=c-1', 'aggregate'],
    ['/v1/scores/p-1/explanation?foo', 'foo'],
    ['/v1/entities/customer/c-1/features?asof=1', 'asof'],
  ])('a parameter that the route does not have is refused by name: %s', async (path, name) => {
    const problem = await problemOf(await serveFixture().app.request(path), 'invalid_parameter')
    expect(problem).toMatchObject({ detail: `${name}: this route has no such parameter` })
  })

  test('HEAD is GET without a body', async () => {
    const response = await serveFixture().app.request('/livez', { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  test('HEAD of the stream takes no place', async () => {
    const { app, hub } = serveFixture()
    const response = await app.request('/v1/score-stream', { method: 'HEAD' })
    expect([response.status, hub.subscribers]).toEqual([200, 0])
  })
})

describe('request ids', () => {
  test('are made up, or taken over when they are harmless, and are in problems', async () => {
    const { app } = serveFixture()
    const fresh = await app.request('/livez')
    expect(fresh.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/)
    const given = await app.request('/nope', { headers: { 'x-request-id': 'req-7' } })
    expect(given.headers.get('x-request-id')).toBe('req-7')
    const problem = await problemOf(given, 'not_found')
    expect(problem).toMatchObject({ requestId: 'req-7', instance: 'urn:riverbank:request:req-7' })
    const odd = await app.request('/livez', { headers: { 'x-request-id': '<script>' } })
    expect(odd.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/)
  })
})

describe('with an API key', () => {
  test('calls without it, or with another one, are 401', async () => {
    const { app } = serveFixture({ deps: { apiKey } })
    const headers = [undefined, 'Bearer wrong', `Basic ${apiKey}`, `Bearer ${apiKey}x`, apiKey, 'Bearer ']
    for (const authorization of headers) {
      const init = authorization === undefined ? {} : { headers: { authorization } }
      const response = await app.request('/v1/scores/p-1', init)
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="riverbank"')
      await problemOf(response, 'unauthorized')
    }
    await problemOf(await app.request('/v1/scores/p-1', bearer(apiKey)), 'score_not_found')
  })

  test.each([
    ['/livez', 200],
    ['/readyz', 200],
    ['/', 200],
    ['/openapi.json', 200],
    ['/metrics', 401],
    ['/v1/score-stream', 401],
    ['/v1/entities/customer/c/features', 401],
  ])('%s without it is %i', async (path, status) => {
    expect((await serveFixture({ deps: { apiKey } }).app.request(path)).status).toBe(status)
  })

  test('any host and origin may call', async () => {
    const { app } = serveFixture({ deps: { apiKey } })
    const headers = { ...bearer(apiKey).headers, host: 'risk.example', origin: 'https://app.example' }
    expect((await app.request('/metrics', { headers })).status).toBe(200)
  })
})

describe('without an API key', () => {
  test.each([
    ['localhost:8080', undefined, 200],
    ['127.0.0.1:8080', undefined, 200],
    ['[::1]:8080', undefined, 200],
    ['127.0.0.1:8080', 'http://127.0.0.1:8080', 200],
    ['risk.example', undefined, 421],
    ['localhost.evil.example', undefined, 421],
    ['127.0.0.1.nip.io:8080', undefined, 421],
    ['127.0.0.1:8080', 'https://evil.example', 403],
    ['127.0.0.1:8080', 'http://127.0.0.1:3000', 403],
    ['127.0.0.1:8080', 'null', 403],
  ])('Host %s with Origin %s is %i', async (host, origin, status) => {
    const headers = { host, ...(origin === undefined ? {} : { origin }) }
    const response = await serveFixture().app.request('/livez', { headers })
    expect(response.status).toBe(status)
    if (status === 403) await problemOf(response, 'foreign_origin')
    if (status === 421) await problemOf(response, 'foreign_host')
  })
})

describe('limits', () => {
  test('a handler that takes too long is 504, and what becomes of it later is only logged', async () => {
    const limits = { ...serveLimits, requestTimeoutMs: 20, waitMsMax: 0 }
    let release: (error: Error) => void = () => undefined
    const read = () => new Promise<never>((_, reject) => (release = reject))
    const { app, lines } = serveFixture({ deps: { limits, features: { read } } })
    const response = await app.request('/v1/entities/customer/c/features')
    expect(response.status).toBe(504)
    await problemOf(response, 'request_timeout')
    release(new Error('too late'))
    await new Promise(setImmediate)
    expect(lines()).toContainEqual(expect.objectContaining({ message: 'request failed after its time' }))
  })

  test('more requests than the limit are refused, but not those of operators', async () => {
    const limits = { ...serveLimits, inFlightMax: 1 }
    let release: () => void = () => undefined
    const { app, log } = serveFixture({ deps: { limits } })
    log.onPublish = () => new Promise<void>((resolve) => (release = resolve))
    const first = app.request('/v1/events', postJson(paymentEvent('p-1')))
    const second = await app.request('/v1/events', postJson(paymentEvent('p-2')))
    expect(second.headers.get('retry-after')).toBe('1')
    await problemOf(second, 'overloaded')
    expect((await app.request('/metrics')).status).toBe(200)
    release()
    expect((await first).status).toBe(202)
    await problemOf(await app.request('/v1/scores/p-2'), 'score_not_found')
  })
})

describe('request metrics', () => {
  test('name the route, never an id', async () => {
    const { app } = serveFixture()
    await app.request('/v1/entities/customer/c-secret/features')
    await app.request('/v1/scores/p-secret')
    await app.request('/secret')
    await app.request('/v1/events', { method: 'BREW' })
    const body = await (await app.request('/metrics')).text()
    const counted = body.split('\n').filter((line) => line.startsWith('riverbank_http_request_seconds_count'))
    expect(counted).toEqual([
      'riverbank_http_request_seconds_count{route="/v1/entities/:entity/:id/features",method="GET",status="200"} 1',
      'riverbank_http_request_seconds_count{route="/v1/scores/:eventId",method="GET",status="404"} 1',
      'riverbank_http_request_seconds_count{route="unmatched",method="GET",status="404"} 1',
      'riverbank_http_request_seconds_count{route="/v1/events",method="OTHER",status="405"} 1',
    ])
    expect(body).not.toContain('secret')
    expect(body).toMatch(/riverbank_http_request_seconds_bucket\{le="0.00025",/)
    expect(body).toMatch(/^riverbank_http_requests_in_flight 1$/m)
  })
})
