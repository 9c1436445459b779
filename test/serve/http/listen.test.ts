import type { HttpBindings } from '@hono/node-server'
import { request, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import type { SqlResult } from '../../../src/ports/sql.ts'
import { listen, listenTimeouts, type Listening, type ListenOptions } from '../../../src/serve/http/listen.ts'
import { eventually } from '../../support/wait.ts'
import {
  batchOf,
  paymentEvent,
  paymentScore,
  postJson,
  problemOf,
  scoreRecord,
  serveFixture,
  type Fixture,
  type FixtureOptions,
} from '../support/serve-fixture.ts'

const open: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

const start = (options: FixtureOptions = {}, changes: Partial<ListenOptions> = {}) =>
  listenTo(serveFixture(options), changes)

async function listenTo(fixture: Fixture, changes: Partial<ListenOptions>) {
  const listening = await listen({
    app: fixture.app,
    host: '127.0.0.1',
    port: 0,
    hasApiKey: false,
    drainMs: 2_000,
    endStreams: () => fixture.hub.close(),
    logger: fixture.deps.logger,
    timeouts: listenTimeouts,
    ...changes,
  })
  open.push(() => listening.stop())
  return { ...fixture, listening, url: listening.url }
}

interface SseEvent {
  readonly event: string
  readonly id: string | null
  readonly data: string
}

/** A client of server-sent events that reads as fast as it can. */
async function subscribe(url: string, headers: Record<string, string> = {}) {
  const abort = new AbortController()
  const response = await fetch(url, { headers, signal: abort.signal })
  const seen = { text: '', ended: false }
  const decoder = new TextDecoder()
  const reading = (async () => {
    try {
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) seen.text += decoder.decode(chunk)
    } catch {
      // A client that goes away has no complaints.
    }
    seen.ended = true
  })()
  open.push(() => abort.abort())
  const events = (): SseEvent[] =>
    seen.text
      .split('\n\n')
      .slice(0, -1)
      .map((block) =>
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      )
      .map((lines) => new Map(lines as [string, string][]))
      .filter((fields) => fields.has('data'))
      .map((f) => ({ event: f.get('event') ?? 'message', id: f.get('id') ?? null, data: f.get('data') ?? '' }))
  return { response, seen, events, abort, reading }
}

/** The first line, with its data as text. */
function parseLine(text: string): SseEvent {
  const line = JSON.parse(text.split('\n')[0]!) as { event: string; id: string; data: unknown }
  return { ...line, data: JSON.stringify(line.data) }
}

const publish = ({ hub }: Pick<Fixture, 'hub'>, from: number, to: number, pad = '') => {
  for (let n = from; n < to; n += 1) hub.accept(batchOf(scoreRecord(paymentScore(`p-${n}`, { service: `s${pad}` }), n)))
}
const within = { deadlineMs: 5_000 }

describe('server-sent events over a connection', () => {
  test('come as they are made, with headers that proxies respect', async () => {
    const served = await start()
    const client = await subscribe(`${served.url}/v1/score-stream`)
    expect(client.response.headers.get('content-type')).toBe('text/event-stream')
    expect(client.response.headers.get('x-accel-buffering')).toBe('no')
    expect(client.response.headers.get('cache-control')).toBe('no-store')
    publish(served, 0, 2)
    await eventually(() => client.events().length === 2, within)
    expect(client.seen.text.startsWith('retry: 2000\n\n')).toBe(true)
    expect(client.events().map(({ event, id }) => [event, id])).toEqual([
      ['score', '0:1'],
      ['score', '0:2'],
    ])
    expect(JSON.parse(client.events()[0]!.data)).toMatchObject({ specversion: '1.0', data: { paymentId: 'p-0' } })
  })

  test('have a heartbeat that no client takes for an event', async () => {
    const served = await start({ hub: { heartbeatMs: 20 } })
    const client = await subscribe(`${served.url}/v1/score-stream?decision=block`)
    publish(served, 0, 1)
    await eventually(() => client.seen.text.includes(': heartbeat\nid: 0:1\n\n'), within)
    expect(client.events()).toEqual([])
  })

  test('go on after Last-Event-ID, and say gap when that is too old', async () => {
    const served = await start({ hub: { capacity: 3 } })
    const first = await subscribe(`${served.url}/v1/score-stream`)
    publish(served, 0, 1)
    await eventually(() => first.events().length === 1, within)
    const [seen] = first.events()
    first.abort.abort()
    publish(served, 1, 3)
    const second = await subscribe(`${served.url}/v1/score-stream`, { 'last-event-id': seen!.id! })
    await eventually(() => second.events().length === 2, within)
    expect(second.events().map(({ event, id }) => [event, id])).toEqual([
      ['score', '0:2'],
      ['score', '0:3'],
    ])
    publish(served, 3, 6)
    const third = await subscribe(`${served.url}/v1/score-stream?lastEventId=${seen!.id}`)
    await eventually(() => third.events().length === 4, within)
    expect(third.events().map(({ event, id }) => event + (id ?? ''))).toEqual([
      'gap0:3',
      'score0:4',
      'score0:5',
      'score0:6',
    ])
  })

  test.each([
    ['0:7', { firstOffsets: { 0: 0 }, beyondEnd: { 0: 3 } }, '0:0'],
    ['0:2,5:1', { firstOffsets: {}, beyondEnd: { 5: null } }, '0:2'],
    ['0:4,1023:9007199254740991', { firstOffsets: { 0: 0 }, beyondEnd: { 0: 3, 1023: null } }, '0:0'],
  ])(
    'say gap when Last-Event-ID %s lies beyond the end of the log, and go on from its beginning',
    async (id, said, at) => {
      const served = await start()
      publish(served, 0, 3)
      served.log.ends = new Map([[0, 3]])
      for (const accept of ['text/event-stream', 'application/x-ndjson']) {
        const doors = [
          { path: '/v1/score-stream', headers: { 'last-event-id': id } },
          { path: `/v1/score-stream?lastEventId=${id}`, headers: {} },
        ]
        for (const { path, headers } of doors) {
          const client = await subscribe(`${served.url}${path}`, { accept, ...headers })
          await eventually(() => client.seen.text.includes(`p-2`), within)
          const frame = accept === 'text/event-stream' ? client.events()[0]! : parseLine(client.seen.text)
          expect([frame.event, frame.id, JSON.parse(frame.data)]).toEqual(['gap', at, said])
          client.abort.abort()
        }
      }
    },
  )

  test('go on where another process is ahead of this one: the log decides, not what was heard here', async () => {
    const served = await start()
    publish(served, 0, 1)
    served.log.ends = new Map([[0, 3]])
    const client = await subscribe(`${served.url}/v1/score-stream`, { 'last-event-id': '0:2' })
    publish(served, 1, 3)
    await eventually(() => client.events().length === 1, within)
    expect(client.events().map(({ event, id }) => [event, id])).toEqual([['score', '0:3']])
    served.log.failure = new RiverbankError('log_unavailable', 'gone', { canRetry: true })
    const refused = await fetch(`${served.url}/v1/score-stream`, { headers: { 'last-event-id': '0:99' } })
    expect(refused.status).toBe(503)
    await problemOf(refused, 'log_unavailable')
    expect(served.hub.subscribers).toBe(1)
  })

  test('give the place back when the client goes', async () => {
    const served = await start({ hub: { subscribersMax: 1 } })
    const client = await subscribe(`${served.url}/v1/score-stream`)
    const refused = await fetch(`${served.url}/v1/score-stream`)
    expect(refused.headers.get('retry-after')).toBe('5')
    await problemOf(refused, 'too_many_subscribers')
    client.abort.abort()
    await eventually(() => served.hub.subscribers === 0, within)
    await subscribe(`${served.url}/v1/score-stream`)
    expect(served.hub.subscribers).toBe(1)
  })

  test.each(['decision=maybe', 'decision=', 'lastEventId=nonsense'])('?%s is refused', async (query) => {
    const served = await start()
    await problemOf(await fetch(`${served.url}/v1/score-stream?${query}`), 'invalid_parameter')
    expect(served.hub.subscribers).toBe(0)
  })

  test('can be lines of JSON instead', async () => {
    const served = await start()
    const headers = { accept: 'application/x-ndjson' }
    const client = await subscribe(`${served.url}/v1/score-stream`, headers)
    expect(client.response.headers.get('content-type')).toBe('application/x-ndjson')
    publish(served, 0, 1)
    await eventually(() => client.seen.text.includes('\n'), within)
    expect(JSON.parse(client.seen.text)).toMatchObject({ event: 'score', id: '0:1', data: { id: 'score:p-0' } })
  })

  /** Publishes until the hub has let a subscriber go; answers how many scores that took. */
  async function overwhelm(served: Pick<Fixture, 'hub'>, left: number): Promise<number> {
    let sent = 0
    const pad = 'x'.repeat(50_000)
    const flood = () => {
      publish(served, sent, sent + 20, pad)
      sent += 20
      return served.hub.subscribers === left
    }
    await eventually(flood, { deadlineMs: 15_000, everyMs: 5 })
    return sent
  }
  const impatient = { lagMax: 100, stallMs: 50, capacity: 1_000 }

  test('a client that reads nothing is cut off, and its connection closed; the others do not notice', async () => {
    const fixture = serveFixture({ hub: { ...impatient, overflowGraceMs: 20 } })
    const connections: ServerResponse[] = []
    const fetchNoting: ListenOptions['app']['fetch'] = (request, env) => {
      connections.push((env as HttpBindings).outgoing)
      return fixture.app.fetch(request, env)
    }
    const served = await listenTo(fixture, { app: { fetch: fetchNoting } })
    await stalledClient(served.listening, '/v1/score-stream')
    await eventually(() => connections.length === 1 && served.hub.subscribers === 1, within)
    const quick = await subscribe(`${served.url}/v1/score-stream`)
    const sent = await overwhelm(served, 1)
    await eventually(() => connections[0]?.destroyed, within)
    expect(connections.map((outgoing) => outgoing.destroyed)).toEqual([true, false])
    await eventually(() => quick.events().length === sent, { deadlineMs: 15_000 })
    expect((await served.deps.meter.expose()).body).toMatch(/^riverbank_stream_overflows_total 1$/m)
  })

  test('a client that reads again is told so by its last event', async () => {
    const served = await start({ hub: { ...impatient, overflowGraceMs: 10_000 } })
    const slow = await stalledClient(served.listening, '/v1/score-stream')
    await eventually(() => served.hub.subscribers === 1, within)
    await overwhelm(served, 0)
    let tail = ''
    slow.on('data', (bytes) => (tail = (tail + bytes.toString()).slice(-200)))
    slow.resume()
    // The last chunk, and the empty one that ends the response.
    await eventually(() => /event: overflow\ndata: \{"behind":\d+\}\n\n\r\n0\r\n\r\n$/.test(tail), within)
  })
})

/** A client that asks and then reads nothing. */
async function stalledClient({ port }: Listening, path: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  open.push(() => void socket.destroy())
  socket.on('error', () => undefined)
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  return socket
}

describe('the server', () => {
  test('answers over a connection, and 413 leaves the client with an answer', async () => {
    const { url, log } = await start()
    const accepted = await fetch(`${url}/v1/events`, postJson(paymentEvent('p-1')))
    expect([accepted.status, log.records.length]).toEqual([202, 1])
    await problemOf(await fetch(`${url}/v1/events`, postJson('x'.repeat(2_000_000))), 'body_too_large')
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
    })
    const chunked = { ...postJson(''), body, duplex: 'half' } as RequestInit
    await problemOf(await fetch(`${url}/v1/events`, chunked), 'body_too_large')
    expect((await fetch(`${url}/livez`)).status).toBe(200)
  })

  test('answers a broken request with a problem', async () => {
    const { listening } = await start()
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ host: '127.0.0.1', port: listening.port, path: '/', headers: { host: 'a b' } }, resolve)
        .on('error', reject)
        .end()
    })
    let text = ''
    for await (const chunk of response) text += String(chunk)
    expect(response.statusCode).toBe(400)
    expect(JSON.parse(text)).toMatchObject({ code: 'bad_request' })
  })

  test('ends the query of a client that goes away', async () => {
    let aborted = false
    let started = false
    const run = (_sql: string, signal: AbortSignal | undefined) =>
      new Promise<SqlResult>((_, reject) => {
        started = true
        signal?.addEventListener('abort', () => {
          aborted = true
          reject(new Error('aborted'))
        })
      })
    const { url } = await start({ run })
    const client = new AbortController()
    const asked = fetch(`${url}/v1/sql`, { ...postJson({ sql: 'select 1' }), signal: client.signal })
    await eventually(() => started, within)
    client.abort()
    await expect(asked).rejects.toThrow()
    await eventually(() => aborted, within)
  })

  test('listens on loopback only, unless there is a key', async () => {
    await expect(start({}, { host: '0.0.0.0' })).rejects.toMatchObject({ code: 'listen_refused' })
    const { listening } = await start()
    await expect(start({}, { port: listening.port })).rejects.toMatchObject({ code: 'listen_failed' })
  })

  test('stops: streams end, running requests are answered, new connections are refused', async () => {
    const served = await start()
    let release: () => void = () => undefined
    let publishing = false
    served.log.onPublish = () =>
      new Promise<void>((resolve) => {
        publishing = true
        release = resolve
      })
    const stream = await subscribe(`${served.url}/v1/score-stream`)
    const running = fetch(`${served.url}/v1/events`, postJson(paymentEvent('p-1')))
    await eventually(() => publishing, within)
    const stopped = served.listening.stop()
    await eventually(() => stream.seen.ended, within)
    await eventually(
      async () =>
        fetch(`${served.url}/livez`).then(
          () => false,
          () => true,
        ),
      within,
    )
    release()
    expect((await running).status).toBe(202)
    await stopped
    await served.listening.stop()
  })

  test('stops at once when connections are open on which nothing was asked, or all is answered', async () => {
    const { listening, url } = await start({}, { drainMs: 15_000 })
    const silent = connect({ host: '127.0.0.1', port: listening.port })
    silent.on('error', () => undefined)
    const closed = new Promise<void>((resolve) => silent.once('close', () => resolve()))
    await new Promise<void>((resolve) => silent.once('connect', resolve))
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    silent.resume()
    const startedMs = performance.now()
    await listening.stop()
    await closed
    expect(performance.now() - startedMs).toBeLessThan(5_000)
  })

  test('stops in time even when a request never ends', async () => {
    const served = await start({}, { drainMs: 100 })
    let publishing = false
    served.log.onPublish = () => {
      publishing = true
      return new Promise<void>(() => undefined)
    }
    const running = fetch(`${served.url}/v1/events`, postJson(paymentEvent('p-1'))).catch(() => 'cut off')
    await eventually(() => publishing, within)
    await served.listening.stop()
    expect(await running).toBe('cut off')
  })
})
