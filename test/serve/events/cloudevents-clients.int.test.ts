import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CloudEvent, HTTP } from 'cloudevents'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listen, listenTimeouts, type Listening } from '../../../src/serve/http/listen.ts'
import { clientPrograms, clientsAvailable } from '../../support/python.ts'
import { nowMs, serveFixture, type Fixture } from '../support/serve-fixture.ts'

const data = { customerId: 'c-1', terminalId: 't-1', amountMinor: 1_250, currency: 'EUR' }
const dataschema = 'urn:riverbank:payment.initiated:2'

let fixture: Fixture
let listening: Listening

beforeAll(async () => {
  fixture = serveFixture({ deps: { clock: { nowMs: () => Date.now() } } })
  listening = await listen({
    app: fixture.app,
    host: '127.0.0.1',
    port: 0,
    hasApiKey: false,
    drainMs: 1_000,
    endStreams: () => fixture.hub.close(),
    logger: fixture.deps.logger,
    timeouts: listenTimeouts,
  })
})

afterAll(() => listening.stop())

const eventsUrl = () => `${listening.url}/v1/events`
const logged = () =>
  fixture.log.records.map(({ value, headers }) => {
    const { id, source, dataschema: schema, data: sent } = JSON.parse(value as string) as Record<string, unknown>
    return { id, source, schema, data: sent, contentType: headers?.['content-type'] }
  })
const stored = (id: string, source: string) => {
  return { id, source, schema: dataschema, data, contentType: 'application/cloudevents+json' }
}

describe('the JavaScript SDK of CloudEvents', () => {
  const attributes = { type: 'payment.initiated', source: 'urn:js:sdk', subject: 'c-1', data }
  const event = (id: string) => new CloudEvent({ ...attributes, id, time: new Date().toISOString(), dataschema })
  const post = (headers: unknown, body: unknown) =>
    fetch(eventsUrl(), { method: 'POST', headers: headers as Record<string, string>, body: body as string })

  test('posts events in structured, binary and batched mode', async () => {
    const before = fixture.log.records.length
    const structured = HTTP.structured(event('js-structured'))
    expect((await post(structured.headers, structured.body)).status).toBe(202)
    const binary = HTTP.binary(event('js-binary'))
    expect((await post(binary.headers, binary.body)).status).toBe(202)
    const batch = JSON.stringify([event('js-batch-0'), event('js-batch-1')])
    expect((await post({ 'content-type': 'application/cloudevents-batch+json' }, batch)).status).toBe(202)
    const ids = ['js-structured', 'js-binary', 'js-batch-0', 'js-batch-1']
    expect(logged().slice(before)).toEqual(ids.map((id) => stored(id, 'urn:js:sdk')))
  })

  test('posts events without a dataschema: they are of the newest version', async () => {
    const before = fixture.log.records.length
    const plain = new CloudEvent({ ...attributes, id: 'js-plain', time: new Date().toISOString() })
    const modes = [HTTP.structured(plain), HTTP.binary(plain.cloneWith({ id: 'js-plain-binary' }))]
    for (const { headers, body } of modes) expect((await post(headers, body)).status).toBe(202)
    expect(logged().slice(before)).toEqual(['js-plain', 'js-plain-binary'].map((id) => stored(id, 'urn:js:sdk')))
  })
})

const reason = await clientsAvailable()
describe.skipIf(reason !== null)(`the Python SDK of CloudEvents${reason === null ? '' : ` (${reason})`}`, () => {
  test('posts events in structured, binary and batched mode, and without a dataschema', async () => {
    const before = fixture.log.records.length
    const script = fileURLToPath(new URL('../../clients/post_events.py', import.meta.url))
    const { stdout } = await promisify(execFile)(`${clientPrograms}/python`, [script, eventsUrl(), 'py'])
    const answers = JSON.parse(stdout) as Record<string, { status: number; body: unknown }>
    for (const [mode, { status, body }] of Object.entries(answers))
      expect([mode, status, body]).toEqual([mode, 202, body])
    const ids = ['py-structured', 'py-binär 100%', 'py-batch-0', 'py-batch-1', 'py-versionless']
    expect(logged().slice(before)).toEqual(ids.map((id) => stored(id, 'urn:python:sdk')))
  })
})

describe('binary mode over HTTP', () => {
  const headers = {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': 'e-1',
    'ce-type': 'payment.initiated',
    'ce-source': 'urn:test',
    'ce-subject': 'c-1',
    'ce-time': new Date(nowMs - 1_000).toISOString(),
  }
  const post = async (changes: Readonly<Record<string, string>>, body = JSON.stringify(data)) => {
    const { app, log } = serveFixture()
    const response = await app.request('/v1/events', { method: 'POST', headers: { ...headers, ...changes }, body })
    const { code } = (await response.json()) as { code?: string }
    return {
      status: response.status,
      code,
      ids: log.records.map(({ value }) => (JSON.parse(value as string) as { id: string }).id),
    }
  }

  test('reads attributes as the binding spells them: percent-encoded, or in quotes', async () => {
    expect(await post({ 'ce-id': 'caf%C3%A9%20%25' })).toMatchObject({ status: 202, ids: ['café %'] })
    expect(await post({ 'ce-id': String.raw`"a \"b\""` })).toMatchObject({ status: 202, ids: ['a "b"'] })
  })

  test('the content type is that of the data, with its charset, whatever ce-datacontenttype says', async () => {
    const charset = { 'content-type': 'application/json; charset=utf-8', 'ce-datacontenttype': 'text/xml' }
    expect(await post(charset)).toMatchObject({ status: 202 })
  })

  test.each<[string, Readonly<Record<string, string>>, string | undefined, number]>([
    ['invalid_envelope', { 'ce-id': '100%' }, undefined, 400],
    ['invalid_envelope', { 'ce-specversion': '0.3' }, undefined, 400],
    ['invalid_envelope', { 'ce-id': '' }, undefined, 400],
    ['forbidden_key', { 'ce-constructor': 'x' }, undefined, 400],
    ['unsupported_media_type', { 'content-type': 'text/xml' }, undefined, 415],
    ['invalid_json', {}, '{', 400],
    ['invalid_data', {}, '[]', 422],
    ['event_too_large', {}, JSON.stringify({ ...data, note: 'x'.repeat(65_536) }), 413],
  ])('answers %s to %j', async (code, changes, body, status) => {
    expect(await post(changes, body)).toEqual({ status, code, ids: [] })
  })

  test('a content type of structured mode wins over attributes in headers', async () => {
    const structured = { ...headers, 'content-type': 'application/cloudevents+json' }
    expect(await post(structured)).toMatchObject({ code: 'invalid_envelope' })
  })
})
