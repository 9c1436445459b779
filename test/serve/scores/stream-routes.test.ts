import type { HttpBindings } from '@hono/node-server'
import type { ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { loopClock } from '../../../src/clock/loop-clock.ts'
import type { ListenOptions } from '../../../src/serve/http/listen.ts'
import { eventually } from '../../support/wait.ts'
import { batchOf, paymentScore, problemOf, scoreRecord, serveFixture, type Fixture } from '../support/serve-fixture.ts'
import { bodyOf, listenTo, stalledClient, start, subscribe, type SseEvent } from '../support/served.ts'

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
    ['5:1', { firstOffsets: {}, beyondEnd: { 5: null } }, '0:0'],
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

  test('can be lines of JSON instead of server-sent events', async () => {
    const served = await start()
    const headers = { accept: 'application/x-ndjson' }
    const client = await subscribe(`${served.url}/v1/score-stream`, headers)
    expect(client.response.headers.get('content-type')).toBe('application/x-ndjson')
    publish(served, 0, 1)
    await eventually(() => client.seen.text.includes('\n'), within)
    expect(JSON.parse(client.seen.text)).toMatchObject({ event: 'score', id: '0:1', data: { id: 'score:p-0' } })
  })

  /** Publishes until the hub has cut so many subscribers off; answers how many scores that took. */
  async function overwhelm(served: Pick<Fixture, 'hub' | 'deps'>, cutOff = 1): Promise<number> {
    let sent = 0
    const pad = 'x'.repeat(50_000)
    const flood = async () => {
      publish(served, sent, sent + 20, pad)
      sent += 20
      return (await overflows(served)) === cutOff
    }
    await eventually(flood, { deadlineMs: 15_000, everyMs: 5 })
    return sent
  }

  async function overflows({ deps }: Pick<Fixture, 'deps'>): Promise<number> {
    const { body } = await deps.meter.expose()
    return Number(/^riverbank_stream_overflows_total (\d+)$/m.exec(body)?.[1] ?? 0)
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
    const sent = await overwhelm(served)
    await eventually(() => connections[0]?.destroyed, within)
    expect(connections.map((outgoing) => outgoing.destroyed)).toEqual([true, false])
    await eventually(() => quick.events().length === sent, { deadlineMs: 15_000 })
    expect([await overflows(served), served.hub.subscribers]).toEqual([1, 1])
  })

  test('a client that was cut off gets that as its last event when it reads again', async () => {
    const served = await start({ hub: { ...impatient, overflowGraceMs: 10_000 } })
    const slow = await stalledClient(served.listening, '/v1/score-stream')
    await eventually(() => served.hub.subscribers === 1, within)
    await overwhelm(served)
    let tail = ''
    slow.on('data', (bytes) => (tail = (tail + bytes.toString()).slice(-200)))
    slow.resume()
    // The last chunk, and the empty one that ends the response.
    await eventually(() => /event: overflow\ndata: \{"behind":\d+\}\n\n\r\n0\r\n\r\n$/.test(tail), within)
    await eventually(() => served.hub.subscribers === 0, within)
  })

  test('a client that was cut off and reads again seconds later finds whole frames only, and the end said', async () => {
    const served = await start({ hub: impatient })
    const formats = ['text/event-stream', 'application/x-ndjson']
    const clients = await Promise.all(
      formats.map((accept) => stalledClient(served.listening, '/v1/score-stream', accept)),
    )
    await eventually(() => served.hub.subscribers === clients.length, within)
    await overwhelm(served, clients.length)
    const cutOffMs = loopClock.nowMs()
    await eventually(() => loopClock.nowMs() - cutOffMs > 3_000, { deadlineMs: 60_000 })
    const [events = '', lines = ''] = await Promise.all(clients.map(bodyOf))
    expect(events.split('\n\n').slice(-2)).toEqual([expect.stringMatching(/^event: overflow\ndata: /), ''])
    const last = lines.split('\n').slice(-2)
    expect([(JSON.parse(last[0]!) as { event: string }).event, last[1]]).toEqual(['overflow', ''])
  })
})
