import { describe, expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { eventLimits } from '../../../src/events/envelope.ts'
import { decodeEvent, parseEvent } from '../../../src/events/decode-event.ts'
import type { LakeLookup } from '../../../src/serve/http/dependencies.ts'
import { contentOf } from '../../../src/serve/events/event-ledger.ts'
import {
  batchOf,
  catalog,
  cloudPayment,
  foundScore,
  nowMs,
  paymentEvent,
  paymentScore,
  postJson,
  problemOf,
  resultsOf,
  scoreRecord,
  serveFixture,
} from '../support/serve-fixture.ts'

describe('one event', () => {
  test('is accepted in both spellings, and the log has the CloudEvents one under the customer', async () => {
    const { app, log } = serveFixture()
    const domain = await app.request('/v1/events', postJson(paymentEvent('p-1')))
    expect(domain.status).toBe(202)
    expect(await resultsOf(domain)).toEqual([{ eventId: 'p-1', status: 'accepted', partition: 0, offset: 0 }])
    const cloud = await app.request('/v1/events', postJson(cloudPayment('p-2'), 'application/cloudevents+json'))
    expect(await resultsOf(cloud)).toEqual([{ eventId: 'p-2', status: 'accepted', partition: 0, offset: 1 }])
    expect(log.records.map(({ topic, key }) => [topic, key])).toEqual([
      ['payments.events', 'c-1'],
      ['payments.events', 'c-1'],
    ])
    const sent = JSON.parse(log.records[0]!.value as string)
    expect(sent).toMatchObject({ specversion: '1.0', id: 'p-1', subject: 'c-1', correlationid: 'p-1' })
  })

  test('keeps the version and the data that were sent, and can be read from the log', async () => {
    const { app, log } = serveFixture()
    const data = { customerId: 'c-1', terminalId: 't-1', amountMinor: 5, note: 'kept' }
    const response = await app.request('/v1/events', postJson(paymentEvent('p-1', { version: 1, data })))
    expect(response.status).toBe(202)
    const value = log.records[0]!.value as string
    expect(JSON.parse(value)).toMatchObject({ dataschema: 'urn:riverbank:payment.initiated:1', data })
    const decoded = decodeEvent(new TextEncoder().encode(value), catalog, nowMs)
    expect(decoded).toMatchObject({ kind: 'valid', event: { version: 2, data: { currency: 'EUR' } } })
  })

  test('keeps its own correlation id and causation id', async () => {
    const { app, log } = serveFixture()
    const event = paymentEvent('p-1', { correlationId: 'order-7', causationId: 'click-1' })
    await app.request('/v1/events', postJson(event))
    const sent = JSON.parse(log.records[0]!.value as string)
    expect(sent).toMatchObject({ correlationid: 'order-7', causationid: 'click-1' })
  })

  test('passes a valid traceparent on, and no other', async () => {
    const { app, log } = serveFixture()
    const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const broken = ['00-00000000000000000000000000000000-00f067aa0ba902b7-01', `ff${valid.slice(2)}`, 'x', `${valid}-1`]
    for (const [index, traceparent] of [valid, ...broken].entries()) {
      await app.request('/v1/events', postJson(paymentEvent(`p-${index}`), 'application/json', { traceparent }))
    }
    const headers = log.records.map((record) => record.headers)
    const contentType = { 'content-type': 'application/cloudevents+json' }
    expect(headers).toEqual([{ ...contentType, traceparent: valid }, ...broken.map(() => contentType)])
  })

  test.each([
    ['invalid_json', 400, '{'],
    ['invalid_json', 400, ''],
    ['invalid_envelope', 400, '"text"'],
    ['invalid_envelope', 400, paymentEvent('p', { aggregateId: 'c-2' })],
    ['invalid_envelope', 400, paymentEvent('p', { timestamp: -8.64e15 })],
    ['forbidden_key', 400, '{"eventId":"p","__proto__":{"a":1}}'],
    ['unknown_event_type', 422, paymentEvent('p', { eventType: 'payment.vanished' })],
    ['unknown_event_version', 422, paymentEvent('p', { version: 9 })],
    ['invalid_entity_id', 400, paymentEvent('p', { data: { ...paymentEvent('p').data, terminalId: 'a b' } })],
    ['missing_entity_id', 422, paymentEvent('p', { data: { customerId: 'c-1', amountMinor: 1, currency: 'EUR' } })],
    [
      'invalid_amount',
      422,
      paymentEvent('p', { data: { customerId: 'c-1', terminalId: 't', amountMinor: -1, currency: 'EUR' } }),
    ],
    [
      'invalid_data',
      422,
      paymentEvent('p', { data: { customerId: 'c-1', terminalId: 't', amountMinor: 1, currency: '€' } }),
    ],
    ['event_in_future', 422, paymentEvent('p', { timestamp: nowMs + 3_600_000 })],
    ['value_not_accepted', 422, paymentEvent('p', { data: { ...paymentEvent('p').data, currency: 'JPY' } })],
    ['invalid_data', 422, paymentEvent('p', { data: { ...paymentEvent('p').data, currency: 'EUX' } })],
    ['event_too_old', 422, paymentEvent('p', { timestamp: '2000-01-01T00:00:00Z' })],
    ['event_too_old', 422, paymentEvent('p', { timestamp: Math.floor(nowMs / 1_000) })],
    ['event_too_large', 413, paymentEvent('p', { data: { pad: 'x'.repeat(eventLimits.maxBytes) } })],
  ])('is refused as %s (%i) and never published', async (code, status, body) => {
    const { app, log } = serveFixture()
    const response = await app.request('/v1/events', postJson(body))
    expect(response.status).toBe(status)
    await problemOf(response, code)
    expect(log.records).toEqual([])
  })

  test('is too large when its CloudEvents spelling is, though what came was not', async () => {
    const { app, log } = serveFixture()
    const event = paymentEvent('p', { data: { ...paymentEvent('p').data, pad: '' } })
    const room = eventLimits.maxBytes - Buffer.byteLength(JSON.stringify(event))
    const full = { ...event, data: { ...event.data, pad: 'x'.repeat(room) } }
    expect(Buffer.byteLength(JSON.stringify(full))).toBe(eventLimits.maxBytes)
    await problemOf(await app.request('/v1/events', postJson(full)), 'event_too_large')
    expect(log.records).toEqual([])
  })

  test('of history is refused whatever its sender says: the past opens for the log alone', async () => {
    const { app, log } = serveFixture()
    const old = paymentEvent('p', { timestamp: '2018-04-01T00:00:00Z' })
    const header = { 'riverbank-history-from': '2018-01-01T00:00:00Z' }
    await problemOf(await app.request('/v1/events', postJson(old, 'application/json', header)), 'invalid_parameter')
    const binary = { 'ce-riverbankhistoryfrom': '2018-01-01T00:00:00Z', riverbank_history_from: '2018-01-01' }
    await problemOf(await app.request('/v1/events', postJson(old, 'application/json', binary)), 'event_too_old')
    expect(log.records).toEqual([])
  })

  test('of bytes that are not UTF-8 is refused', async () => {
    const { app } = serveFixture()
    const init = { ...postJson(''), body: new Uint8Array([0x7b, 0xff, 0x7d]) }
    await problemOf(await app.request('/v1/events', init), 'undecodable_bytes')
  })

  test('of which the state knows the identity is compared with the first one, which the lake has', async () => {
    const known = new Set(['p-1', 'p-2', 'p-3', 'p-4'])
    const firsts = new Map([
      ['p-1', paymentEvent('p-1')],
      ['p-2', paymentEvent('p-2', { timestamp: nowMs - 2_000 })],
    ])
    const lake: LakeLookup = {
      scores: async (id) => (id === 'p-1' ? [foundScore(paymentScore('p-1'))] : []),
      event: async ({ eventId }) => {
        if (eventId === 'p-4') throw new RiverbankError('lookup_busy', 'later', { canRetry: true })
        const parsed = parseEvent(firsts.get(eventId), catalog, nowMs)
        return parsed.kind === 'invalid' ? null : { partition: 0, offset: 7, content: contentOf(parsed.event) }
      },
    }
    const { app, log } = serveFixture({ known, deps: { lake } })
    const same = await app.request('/v1/events', postJson(paymentEvent('p-1')))
    expect([same.status, await resultsOf(same)]).toMatchObject([
      200,
      [{ eventId: 'p-1', repeated: true, partition: 0, offset: 7, score: { paymentId: 'p-1' } }],
    ])
    const other = await app.request('/v1/events', postJson(paymentEvent('p-2')))
    expect(other.status).toBe(409)
    expect(await problemOf(other, 'event_conflict')).toMatchObject({ eventId: 'p-2' })
    // Known, and nobody can say what it was: neither yes nor no.
    for (const id of ['p-3', 'p-4']) {
      const refused = await app.request('/v1/events', postJson(paymentEvent(id)))
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
      await problemOf(refused, 'unavailable')
    }
    expect(log.records).toEqual([])
  })

  test('is accepted when the states cannot be asked', async () => {
    const knownEvents = {
      known: () => Promise.reject(new RiverbankError('state_unavailable', 'gone', { canRetry: true })),
    }
    const { app, lines } = serveFixture({ deps: { knownEvents } })
    expect((await app.request('/v1/events', postJson(paymentEvent('p-1')))).status).toBe(202)
    expect(lines()).toContainEqual(expect.objectContaining({ level: 'warn', message: 'duplicates not looked up' }))
  })

  test.each([
    ['log_unavailable', 503, '1'],
    ['log_full', 503, '5'],
  ])('is not accepted when the log answers %s', async (code, status, retryAfter) => {
    const { app, log } = serveFixture()
    log.failure = new RiverbankError(code, 'no', { canRetry: true })
    const response = await app.request('/v1/events', postJson(paymentEvent('p-1')))
    expect([response.status, response.headers.get('retry-after')]).toEqual([status, retryAfter])
    await problemOf(response, code)
  })
})

describe('content types', () => {
  test.each([
    ['text/plain', {}],
    ['application/x-www-form-urlencoded', {}],
    ['application/json; charset=latin1', {}],
    ['application/json', { 'content-encoding': 'gzip' }],
  ])('%s %o is refused', async (type, headers) => {
    const { app } = serveFixture()
    await problemOf(
      await app.request('/v1/events', postJson(paymentEvent('p'), type, headers)),
      'unsupported_media_type',
    )
  })

  test('parameters and case do not matter, a missing type does', async () => {
    const { app } = serveFixture()
    const event = paymentEvent('p')
    expect((await app.request('/v1/events', postJson(event, 'Application/JSON; Charset="UTF-8"'))).status).toBe(202)
    const bare = new Request('http://localhost/v1/events', { method: 'POST', body: new TextEncoder().encode('{}') })
    await problemOf(await app.request(bare), 'unsupported_media_type')
  })

  test('say one event or a batch, and are held to it', async () => {
    const { app } = serveFixture()
    const single = postJson([cloudPayment('p')], 'application/cloudevents+json')
    await problemOf(await app.request('/v1/events', single), 'invalid_envelope')
    const batch = postJson(cloudPayment('p'), 'application/cloudevents-batch+json')
    await problemOf(await app.request('/v1/events', batch), 'invalid_envelope')
  })
})

describe('a batch', () => {
  test('of good events is accepted whole, in order', async () => {
    const { app } = serveFixture()
    const events = [cloudPayment('p-1'), cloudPayment('p-2')]
    const response = await app.request('/v1/events', postJson(events, 'application/cloudevents-batch+json'))
    expect(response.status).toBe(202)
    expect((await resultsOf(response)).map(({ eventId, offset }) => [eventId, offset])).toEqual([
      ['p-1', 0],
      ['p-2', 1],
    ])
  })

  test('of mixed events is 207 with one answer each, and only the good ones are in the log', async () => {
    const { app, log } = serveFixture()
    await app.request('/v1/events', postJson(paymentEvent('p-9')))
    const events = [
      paymentEvent('p-1'),
      paymentEvent('p-2', { version: 9 }),
      cloudPayment('p-3'),
      paymentEvent('p-9'),
      cloudPayment('p-1'),
      paymentEvent('p-1', { timestamp: nowMs }),
      paymentEvent('p-9', { timestamp: nowMs }),
      paymentEvent('p-1', { aggregateId: 'c-2', data: { ...paymentEvent('p-1').data, customerId: 'c-2' } }),
      null,
    ]
    const response = await app.request('/v1/events', postJson(events))
    expect(response.status).toBe(207)
    const results = await resultsOf(response)
    expect(results.map((r) => [r.eventId, r.status, r.problem?.code ?? r.offset, r.repeated])).toEqual([
      ['p-1', 'accepted', 1, undefined],
      ['p-2', 'rejected', 'unknown_event_version', undefined],
      ['p-3', 'accepted', 2, undefined],
      ['p-9', 'accepted', 0, true],
      ['p-1', 'accepted', 1, true],
      ['p-1', 'rejected', 'event_conflict', undefined],
      ['p-9', 'rejected', 'event_conflict', undefined],
      ['p-1', 'accepted', 3, undefined],
      [null, 'rejected', 'invalid_envelope', undefined],
    ])
    expect(log.records.map(({ value }) => (JSON.parse(value as string) as { id: string }).id)).toEqual([
      ...['p-9', 'p-1', 'p-3', 'p-1'],
    ])
  })

  test('a rejected event does not make the next one with its id a duplicate', async () => {
    const { app } = serveFixture()
    const response = await app.request('/v1/events', postJson([paymentEvent('p', { version: 9 }), paymentEvent('p')]))
    expect((await resultsOf(response)).map(({ status }) => status)).toEqual(['rejected', 'accepted'])
  })

  test('of bad events only is a problem that says why for each', async () => {
    const { app, log } = serveFixture()
    const response = await app.request('/v1/events', postJson([paymentEvent('p', { version: 9 }), 7]))
    expect(response.status).toBe(422)
    const problem = await problemOf(response, 'batch_rejected')
    expect(problem['results']).toHaveLength(2)
    expect(log.records).toEqual([])
  })

  test('is bounded in events and bytes, and not empty', async () => {
    const { app, log } = serveFixture()
    const events = Array.from({ length: 501 }, (_, i) => paymentEvent(`p-${i}`))
    await problemOf(await app.request('/v1/events', postJson(events)), 'batch_too_large')
    const pad = Array.from({ length: 18 }, () => 'x'.repeat(60_000))
    await problemOf(await app.request('/v1/events', postJson(pad)), 'body_too_large')
    const announced = postJson('[]', 'application/json', { 'content-length': '1048577' })
    await problemOf(await app.request('/v1/events', announced), 'body_too_large')
    await problemOf(await app.request('/v1/events', postJson([])), 'empty_batch')
    expect(log.records).toEqual([])
    expect((await app.request('/v1/events', postJson(events.slice(1)))).status).toBe(202)
  })
})

describe('waiting for the decision', () => {
  test('answers 200 with the score, also when it is there before the acknowledgement', async () => {
    const { app, log, hub } = serveFixture()
    log.onPublish = () => void hub.accept(batchOf(scoreRecord(paymentScore('p-1'), 0)))
    const response = await app.request('/v1/events?wait=5000', postJson(paymentEvent('p-1')))
    expect(response.status).toBe(200)
    expect((await resultsOf(response))[0]?.score?.paymentId).toBe('p-1')
    expect(hub.waiting).toBe(0)
  })

  test('answers 202 without it when the time is up', async () => {
    const { app, hub } = serveFixture()
    const response = await app.request('/v1/events?wait=20', postJson(paymentEvent('p-1')))
    expect(response.status).toBe(202)
    expect((await resultsOf(response))[0]).not.toHaveProperty('score')
    expect(hub.waiting).toBe(0)
  })

  test("is not answered with another customer's score of the same id", async () => {
    const { app, log, hub } = serveFixture()
    log.onPublish = () => void hub.accept(batchOf(scoreRecord(paymentScore('p-1', { customerId: 'c-2' }), 0)))
    expect((await app.request('/v1/events?wait=20', postJson(paymentEvent('p-1')))).status).toBe(202)
  })

  test('can be asked for by Prefer, and works for a batch', async () => {
    const { app, log, hub } = serveFixture()
    log.onPublish = () => {
      setImmediate(() => hub.accept(batchOf(scoreRecord(paymentScore('p-2'), 0), scoreRecord(paymentScore('p-1'), 1))))
    }
    const init = postJson([paymentEvent('p-1'), paymentEvent('p-2')], 'application/json', { prefer: 'foo, wait=2' })
    const response = await app.request('/v1/events', init)
    expect(response.status).toBe(200)
    expect((await resultsOf(response)).map(({ score }) => score?.paymentId)).toEqual(['p-1', 'p-2'])
  })

  test('leaves no waiter behind when the log refuses, or when the client goes', async () => {
    const { app, log, hub } = serveFixture()
    log.failure = new RiverbankError('log_unavailable', 'no', { canRetry: true })
    await problemOf(await app.request('/v1/events?wait=5000', postJson(paymentEvent('p-1'))), 'log_unavailable')
    expect(hub.waiting).toBe(0)
    log.failure = null
    const client = new AbortController()
    log.onPublish = () => client.abort()
    await app.request('/v1/events?wait=20000', { ...postJson(paymentEvent('p-1')), signal: client.signal })
    expect(hub.waiting).toBe(0)
  })

  test('has a limit of waiters, beyond which it answers without', async () => {
    const { app, deps } = serveFixture({ hub: { waitersMax: 1 } })
    const events = [paymentEvent('p-1'), paymentEvent('p-2')]
    await app.request('/v1/events?wait=20', postJson(events))
    expect((await deps.meter.expose()).body).toMatch(/^riverbank_waits_refused_total 1$/m)
  })

  test.each(['-1', '1.5', 'soon', '30001'])('wait=%s is refused', async (wait) => {
    const { app } = serveFixture()
    const response = await app.request(`/v1/events?wait=${wait}`, postJson(paymentEvent('p-1')))
    await problemOf(response, 'invalid_parameter')
  })
})
