import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventIdSchema, idSchema } from '../../../src/events/envelope.ts'
import { decodeEvent } from '../../../src/events/decode-event.ts'
import { listen, listenTimeouts, type Listening } from '../../../src/serve/http/listen.ts'
import { testSeed as seed } from '../../support/seed.ts'
import {
  batchOf,
  catalog,
  cloudPayment,
  nowMs,
  paymentEvent,
  paymentScore,
  postJson,
  problemOf,
  scoreRecord,
  serveFixture,
} from '../support/serve-fixture.ts'

/** Over a connection: clients and servers both change what a path says. */
const fixture = serveFixture({ hub: { capacity: 10_000 } })
let listening: Listening
let offset = 0
beforeAll(async () => {
  listening = await listen({
    ...{ app: fixture.app, host: '127.0.0.1', port: 0, hasApiKey: false, drainMs: 1_000 },
    ...{ endStreams: () => fixture.hub.close(), logger: fixture.deps.logger, timeouts: listenTimeouts },
  })
})
afterAll(() => listening.stop())

const url = (path: string) => `http://127.0.0.1:${listening.port}${path}`
const text = (maxLength: number) =>
  fc.oneof(
    fc.string({ minLength: 1, maxLength, unit: 'binary' }),
    fc.string({
      minLength: 1,
      maxLength: 20,
      unit: fc.constantFrom('/', '.', '%', '?', '#', '&', '+', ';', '\\', ' ', '|', ',', ':', '2', 'F', 'é', '😀'),
    }),
    fc.constantFrom(
      'stream',
      '...',
      '.a',
      '%2F',
      '%',
      '%25',
      '%/',
      '//',
      'a/explanation',
      'explanation',
      '%00',
      '＿',
      '\u2028',
      '"',
      "'",
      "';--",
      '-',
      '__proto__',
    ),
  )
const carried = (maxLength: number) => text(maxLength).filter((id) => eventIdSchema.safeParse(id).success)

describe('every id of the alphabet', () => {
  test('is taken, scored, found, explained, streamed and named by every route', async () => {
    await fc.assert(
      fc.asyncProperty(carried(240), carried(200), async (eventId, correlationId) => {
        fixture.log.records.length = 0
        const event = paymentEvent(eventId, { correlationId, causationId: correlationId })
        const posted = await fetch(url('/v1/events'), postJson(event))
        // A second run of the same id is a repeat of the first, with a score.
        if (posted.status === 200) return
        expect(posted.status).toBe(202)
        const location = posted.headers.get('location') ?? ''
        const pending = await fetch(url(location))
        expect([pending.status, await pending.json()]).toEqual([
          202,
          { eventId, aggregateId: 'c-1', status: 'pending' },
        ])
        const value = fixture.log.records[0]!.value as string
        const decoded = decodeEvent(new TextEncoder().encode(value), catalog, nowMs)
        expect(decoded).toMatchObject({ kind: 'valid', event: { eventId, correlationId } })

        fixture.hub.accept(batchOf(scoreRecord(paymentScore(eventId), offset++)))
        const path = `/v1/scores/${encodeURIComponent(eventId)}`
        for (const door of [path, location]) {
          const found = await fetch(url(door), { headers: { accept: '*/*' } })
          expect([door, found.status, ((await found.json()) as { paymentId: string }).paymentId]).toEqual([
            door,
            200,
            eventId,
          ])
        }
        await problemOf(await fetch(url(`${path}/explanation`)), 'model_not_found')
        const other = await fetch(url(`${path}?aggregateId=${encodeURIComponent(correlationId)}`))
        if (correlationId !== 'c-1') await problemOf(other, 'score_not_found')
      }),
      { seed, numRuns: 200 },
    )
  }, 60_000)

  test('names whose scores a stream has', async () => {
    await fc.assert(
      fc.asyncProperty(carried(100), async (customerId) => {
        const client = new AbortController()
        const door = `/v1/score-stream?aggregateId=${encodeURIComponent(customerId)}`
        const response = await fetch(url(door), { headers: { accept: 'application/x-ndjson' }, signal: client.signal })
        fixture.hub.accept(batchOf(scoreRecord(paymentScore(`s-${offset}`, { customerId }), offset++)))
        const reader = response.body!.getReader()
        const value = (await reader.read()).value as Uint8Array
        expect(JSON.parse(new TextDecoder().decode(value).split('\n')[0]!)).toMatchObject({
          event: 'score',
          data: { data: { customerId } },
        })
        client.abort()
      }),
      { seed, numRuns: 30 },
    )
  }, 60_000)
})

describe('any other id', () => {
  const refused = fc.oneof(
    fc.constantFrom(
      '',
      '.',
      '..',
      '\u0000',
      'a\u0000b',
      '\n',
      '\u007f',
      '\u0085',
      '\ufdd0',
      '\uffff',
      '\ud800',
      'x'.repeat(241),
    ),
    fc
      .tuple(fc.string({ maxLength: 5 }), fc.integer({ min: 0, max: 31 }))
      .map(([before, code]) => before + String.fromCharCode(code)),
  )
  test('is refused at the door by a code, and by every route that reads', async () => {
    await fc.assert(
      fc.asyncProperty(refused, fc.constantFrom('eventId', 'correlationId', 'causationId'), async (id, field) => {
        fc.pre(field === 'eventId' || id.length !== 241)
        fixture.log.records.length = 0
        const response = await fetch(url('/v1/events'), postJson(paymentEvent('p', { [field]: id })))
        expect(response.status).toBe(400)
        expect(['invalid_envelope', 'undecodable_bytes']).toContain(((await response.json()) as { code: string }).code)
        expect(fixture.log.records).toEqual([])
        // From the log it is a dead letter, by the same code.
        const cloud = new TextEncoder().encode(
          JSON.stringify(cloudPayment('p', field === 'eventId' ? { id } : { [field.toLowerCase()]: id })),
        )
        expect(decodeEvent(cloud, catalog, nowMs)).toMatchObject({ kind: 'invalid' })
        if (['', '.', '..'].includes(id) || !id.isWellFormed()) return
        await problemOf(await fetch(url(`/v1/scores/${encodeURIComponent(id)}`)), 'invalid_parameter')
        if (id.length === 241) return
        const other = await fetch(url(`/v1/scores/p?aggregateId=${encodeURIComponent(id)}`))
        await problemOf(other, 'invalid_parameter')
      }),
      { seed, numRuns: 100 },
    )
  }, 60_000)

  test('of a path that is no text is refused, and read as no other', async () => {
    for (const path of ['%', '%zz', '%ff', '%c3%28', 'a%', '%/explanation']) {
      await problemOf(await fetch(url(`/v1/scores/${path}`)), 'bad_request')
    }
  })
})

test('an id that several aggregates have used is refused with their names, and found with one of them', async () => {
  const customers = ['c-1', 'c-2', 'ü/2']
  for (const customerId of customers) {
    fixture.hub.accept(batchOf(scoreRecord(paymentScore('shared', { customerId }), offset++)))
  }
  const response = await fetch(url('/v1/scores/shared'))
  expect(response.status).toBe(409)
  expect((await problemOf(response, 'ambiguous_event_id'))['aggregateIds']).toEqual(customers)
  for (const customerId of customers) {
    const found = await fetch(url(`/v1/scores/shared?aggregateId=${encodeURIComponent(customerId)}`))
    expect(await found.json()).toMatchObject({ customerId })
  }
  expect(idSchema.safeParse('x'.repeat(256)).success).toBe(true)
})
