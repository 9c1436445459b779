import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { riverbank } from '../../features/index.ts'
import { cloudEventSchema, eventLimits } from '../../src/events/envelope.ts'
import { encodeEvent, schemaOf, toCloudEvent, type DomainEvent, type EventCatalog } from '../../src/events/event.ts'
import { decodeEvent, parseEvent } from '../../src/events/decode-event.ts'
import { eventErrorCodes } from '../../src/events/event-error-code.ts'
import { testSeed as seed } from '../support/seed.ts'

const catalog: EventCatalog = new Map(riverbank.events.map((event) => [event.type, event]))
const nowMs = Date.UTC(2026, 5, 1, 12)
const encoder = new TextEncoder()

const payment = { customerId: 'c1', terminalId: 't1', amountMinor: 1_250, currency: 'EUR' }
const fraud = { ...payment, paymentId: 'p1', paymentTimeMs: nowMs - 1_000, kind: 'chargeback' }

interface Overrides {
  readonly [field: string]: unknown
}

function cloud(overrides: Overrides = {}): Record<string, unknown> {
  return {
    specversion: '1.0',
    id: 'e1',
    type: 'payment.initiated',
    source: 'urn:test',
    subject: 'c1',
    time: new Date(nowMs).toISOString(),
    dataschema: schemaOf('payment.initiated', 2),
    data: payment,
    ...overrides,
  }
}

function domain(overrides: Overrides = {}): Record<string, unknown> {
  return {
    eventId: 'e1',
    eventType: 'payment.initiated',
    timestamp: nowMs,
    aggregateId: 'c1',
    aggregateType: 'customer',
    version: 2,
    data: payment,
    ...overrides,
  }
}

const bytesOf = (text: string) => encoder.encode(text)
const decodeText = (text: string) => decodeEvent(bytesOf(text), catalog, nowMs)
/** As a log would answer it: through bytes, so that what JSON cannot carry is not tested by accident. */
const decode = (json: unknown) => decodeText(JSON.stringify(json))
const codeOf = (json: unknown) => {
  const result = decode(json)
  return result.kind === 'invalid' ? result.code : 'valid'
}
const withData = (overrides: Overrides) => cloud({ data: { ...payment, ...overrides } })

describe('decoding an event from the log', () => {
  it('I6: gives every code there is, but the duplicate, which only a state can know', () => {
    const seen = new Set<string>()
    const see = (bytes: Uint8Array, code: string) => {
      const result = decodeEvent(bytes, catalog, nowMs)
      expect(result.kind === 'invalid' ? result.code : 'valid').toBe(code)
      seen.add(code)
    }
    const json = (value: unknown) => bytesOf(JSON.stringify(value))
    see(new Uint8Array(eventLimits.maxBytes + 1).fill(0x20), 'event_too_large')
    see(new Uint8Array([0x7b, 0xff, 0x7d]), 'undecodable_bytes')
    see(new Uint8Array(), 'invalid_json')
    see(bytesOf('{"specversion":"1.0",'), 'invalid_json')
    see(bytesOf(JSON.stringify(cloud()).replace('"customerId"', '"__proto__":{},"customerId"')), 'forbidden_key')
    see(json([]), 'invalid_envelope')
    see(json(cloud({ type: 'payment.forgotten', dataschema: schemaOf('payment.forgotten', 1) })), 'unknown_event_type')
    see(json(cloud({ dataschema: schemaOf('payment.initiated', 3) })), 'unknown_event_version')
    see(json(withData({ terminalId: undefined })), 'missing_entity_id')
    see(json(withData({ terminalId: 'a b' })), 'invalid_entity_id')
    see(json(withData({ amountMinor: -1 })), 'invalid_amount')
    see(json(withData({ currency: 'euro' })), 'invalid_data')
    see(json(cloud({ time: new Date(nowMs + eventLimits.maxFutureMs + 1).toISOString() })), 'event_in_future')
    see(json(withData({ currency: 'USD' })), 'value_not_accepted')
    see(json(cloud({ time: '2000-01-01T00:00:00Z' })), 'event_too_old')
    expect([...seen, 'duplicate_event'].sort()).toEqual([...eventErrorCodes].sort())
  })

  it('refuses bodies from 64 KiB on, whatever is in them', () => {
    const body = JSON.stringify(cloud())
    expect(decodeText(body + ' '.repeat(eventLimits.maxBytes - body.length)).kind).toBe('valid')
    expect(decodeText(body + ' '.repeat(eventLimits.maxBytes + 1 - body.length))).toMatchObject({
      code: 'event_too_large',
    })
    expect(eventLimits.maxBytes + 1).toBe(64 * 1024)
  })

  it.each(['\ufeff', ' \n\t'])('takes a byte order mark and white space before the JSON: %j', (prefix) => {
    expect(decodeText(prefix + JSON.stringify(cloud())).kind).toBe('valid')
  })

  it.each<[string, unknown]>([
    ['null', null],
    ['a number', 5],
    ['a string', 'payment.initiated'],
    ['an array of events', [cloud()]],
    ['no id', cloud({ id: undefined })],
    ['an empty id', cloud({ id: '' })],
    ['an id that is too long', cloud({ id: 'x'.repeat(eventLimits.maxEventIdLength + 1) })],
    ['a numeric id', cloud({ id: 17 })],
    ['another spec version', cloud({ specversion: '0.3' })],
    ['a time without a zone', cloud({ time: '2026-06-01T12:00:00' })],
    ['a day that is not in the calendar', cloud({ time: '2026-02-30T12:00:00Z' })],
    ['an hour that is not on the clock', cloud({ time: '2026-06-01T25:00:00Z' })],
    ['a schema of another type', cloud({ dataschema: schemaOf('fraud.reported', 1) })],
    ['a schema that is not ours', cloud({ dataschema: 'https://example.org/schema' })],
    ['another content type', cloud({ datacontenttype: 'text/xml' })],
    ['the data of another customer', cloud({ subject: 'c2' })],
    ['the aggregate type of something else', domain({ aggregateType: 'terminal' })],
    ['the aggregate id of somebody else', domain({ aggregateId: 'c2' })],
    ['a fractional timestamp', domain({ timestamp: nowMs + 0.5 })],
    ['a timestamp before the year 0', domain({ timestamp: -62_167_219_200_001 })],
    ['a timestamp after the year 9999', domain({ timestamp: 253_402_300_800_000 })],
    ['version 0', domain({ version: 0 })],
    ['a fractional version', domain({ version: 1.5 })],
  ])('answers invalid_envelope to %s', (_what, json) => {
    expect(codeOf(json)).toBe('invalid_envelope')
  })

  it.each([
    ['negative', '-1'],
    ['fractional', '12.5'],
    ['unsafe', '9007199254740993'],
    ['too large', '10000000001'],
    ['infinite', '1e400'],
    ['a string', '"1250"'],
    ['null, as JSON spells NaN', 'null'],
  ])('answers invalid_amount when it is %s', (_what, amount) => {
    const text = JSON.stringify(cloud()).replace('1250', amount)
    expect(decodeText(text)).toMatchObject({ kind: 'invalid', code: 'invalid_amount', eventId: 'e1' })
    expect(parseEvent(withData({ amountMinor: NaN }), catalog, nowMs)).toMatchObject({ code: 'invalid_amount' })
  })

  it('is not confused by the language: names of inherited members are no types, versions or fields', () => {
    for (const name of ['toString', 'hasOwnProperty', 'valueOf']) {
      expect(codeOf(domain({ eventType: name }))).toBe('unknown_event_type')
      expect(codeOf(withData({ [name]: 1 }))).toBe('valid')
    }
  })

  it.each(['customerId', 'terminalId'])('answers missing_entity_id when %s is not there', (field) => {
    for (const value of [undefined, null]) {
      expect(codeOf(withData({ [field]: value })), JSON.stringify(value)).toBe('missing_entity_id')
    }
  })

  it.each(['customerId', 'terminalId'])('answers invalid_entity_id when %s is there and no id', (field) => {
    for (const value of ['', 'a b', 'x'.repeat(65), 5, 'a/b', 'ü', '..', {}, false]) {
      expect(codeOf(withData({ [field]: value })), JSON.stringify(value)).toBe('invalid_entity_id')
    }
  })

  it.each([
    ['seconds', nowMs / 1_000],
    ['microseconds', nowMs * 1_000],
    ['nanoseconds', nowMs * 1_000_000],
    ['a time that was never set', 0],
  ])('says of a time in a wrong unit that it looks like %s, in either spelling and in the data', (unit, time) => {
    const detailOf = (json: unknown) => {
      const result = parseEvent(json, catalog, nowMs)
      return result.kind === 'invalid' ? result.detail : 'valid'
    }
    const looks = `it looks like ${unit}: `
    const either = 'milliseconds since 1970, or RFC 3339, are expected'
    expect(detailOf(domain({ timestamp: time }))).toContain(looks + either)
    expect(detailOf(cloud({ time }))).toContain(`${looks}RFC 3339 is expected`)
    expect(detailOf(cloud({ time: String(time) }))).toContain(`${looks}RFC 3339 is expected`)
    const data = { ...fraud, paymentTimeMs: time }
    const label = cloud({ type: 'fraud.reported', dataschema: schemaOf('fraud.reported', 1), data })
    expect(detailOf(label)).toMatch(new RegExp(`${looks}milliseconds since 1970.* are expected`))
  })

  it('says of milliseconds in a CloudEvent that RFC 3339 is expected, and of other nonsense nothing about units', () => {
    const parsed = (time: unknown) => parseEvent(cloud({ time }), catalog, nowMs)
    expect(parsed(nowMs)).toMatchObject({ detail: expect.stringContaining('looks like milliseconds') as string })
    const silent = { detail: expect.not.stringContaining('looks like') as string }
    for (const time of ['yesterday', -1, 12, {}, null]) expect(parsed(time)).toMatchObject(silent)
  })

  it('accepts five minutes of the future by the log clock, and not a millisecond more', () => {
    const at = (ms: number) => codeOf(cloud({ time: new Date(nowMs + ms).toISOString() }))
    expect(at(eventLimits.maxFutureMs)).toBe('valid')
    expect(at(eventLimits.maxFutureMs + 1)).toBe('event_in_future')
    const label = (ms: number) =>
      codeOf(
        cloud({
          type: 'fraud.reported',
          dataschema: schemaOf('fraud.reported', 1),
          data: { ...fraud, paymentTimeMs: nowMs + ms },
        }),
      )
    expect(label(eventLimits.maxFutureMs)).toBe('valid')
    expect(label(eventLimits.maxFutureMs + 1)).toBe('event_in_future')
  })

  it('refuses keys that reach prototypes, at any depth and in any spelling', () => {
    for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__', 'const\\u0072uctor']) {
      for (let depth = 0; depth < 12; depth += 1) {
        const inner = `${'{"a":['.repeat(depth)}{"${key}":1}${']}'.repeat(depth)}`
        const text = JSON.stringify(cloud({ data: 'HERE' })).replace('"HERE"', inner)
        expect(decodeText(text), `${key} at depth ${depth}`).toMatchObject({ code: 'forbidden_key', eventId: 'e1' })
      }
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })

  it('refuses half of a surrogate pair anywhere: written down, two such ids would be one', () => {
    const half = '"\\ud800"'
    const texts = [
      JSON.stringify(cloud({ id: 'HERE' })).replace('"HERE"', half),
      JSON.stringify(domain({ eventId: 'HERE' })).replace('"HERE"', half),
      JSON.stringify(withData({ note: 'HERE' })).replace('"HERE"', `[{"a":${half}}]`),
      JSON.stringify(withData({ note: 'HERE' })).replace('"HERE"', `{${half}:1}`),
    ]
    for (const text of texts) expect(decodeText(text), text).toMatchObject({ code: 'undecodable_bytes' })
    expect(decodeText(texts[0] ?? '')).not.toHaveProperty('eventId')
    expect(codeOf(cloud({ id: '\ud83d\ude00' }))).toBe('valid')
  })

  it('refuses nesting that could exhaust the stack', () => {
    const depth = Math.floor(eventLimits.maxBytes / 2) - 200
    const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
    expect(decodeText(deep(depth))).toMatchObject({ code: 'forbidden_key' })
    const text = JSON.stringify(withData({ note: 'HERE' }))
    expect(decodeText(text.replace('"HERE"', deep(eventLimits.maxKeyDepth - 1))).kind).toBe('valid')
    expect(decodeText(text.replace('"HERE"', deep(eventLimits.maxKeyDepth)))).toMatchObject({ code: 'forbidden_key' })
  })

  it('names the event where it can', () => {
    expect(decode(cloud({ subject: '' }))).toMatchObject({ eventId: 'e1' })
    expect(decode(domain({ aggregateId: '' }))).toMatchObject({ eventId: 'e1' })
    expect(decode([])).not.toHaveProperty('eventId')
    expect(decode(cloud({ id: 'x'.repeat(300) }))).not.toHaveProperty('eventId')
  })
})

describe('an event that is well', () => {
  it('decodes to the same event in both spellings', () => {
    const causes = { causationid: 'cause', correlationid: 'story' }
    const [one, other] = [
      decode(cloud({ ...causes, source: 'urn:riverbank:http' })),
      decode(domain({ causationId: 'cause', correlationId: 'story' })),
    ]
    if (one.kind !== 'valid' || other.kind !== 'valid') throw new Error('both are valid')
    expect(one.event).toEqual(other.event)
    expect(one.event).toEqual({
      eventId: 'e1',
      eventType: 'payment.initiated',
      timestamp: nowMs,
      aggregateId: 'c1',
      aggregateType: 'customer',
      version: 2,
      causationId: 'cause',
      correlationId: 'story',
      data: payment,
      metadata: { source: 'urn:riverbank:http' },
    })
    const written = decode(domain({ timestamp: new Date(nowMs).toISOString() }))
    expect(written.kind === 'valid' && written.event.timestamp).toBe(nowMs)
  })

  it('is read as the current version, and kept as it was sent', () => {
    const old = { customerId: 'c1', terminalId: 't1', amountMinor: 1_250 }
    const result = decode(cloud({ dataschema: schemaOf('payment.initiated', 1), data: old }))
    if (result.kind !== 'valid') throw new Error(result.detail)
    expect(result.event).toMatchObject({ version: 2, data: { ...old, currency: 'EUR' } })
    expect(result.received).toMatchObject({ version: 1, data: old })
  })

  it('is observed at its own time, or at the time its data names', () => {
    expect(decode(cloud())).toMatchObject({ observedAt: nowMs })
    const label = cloud({ type: 'fraud.reported', dataschema: schemaOf('fraud.reported', 1), data: fraud })
    expect(decode(label)).toMatchObject({ observedAt: fraud.paymentTimeMs, event: { timestamp: nowMs } })
  })

  it('survives its way to the wire and back', () => {
    const text = fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme' })
    const time = fc.integer({ min: -62_167_219_200_000, max: nowMs + eventLimits.maxFutureMs })
    const amount = fc.integer({ min: 0, max: 10_000_000_000 })
    const ids = fc.record({ causationId: text, correlationId: text }, { requiredKeys: [] })
    fc.assert(
      fc.property(text, time, amount, ids, text, (eventId, timestamp, amountMinor, causes, source) => {
        const event: DomainEvent = {
          eventId,
          eventType: 'payment.initiated',
          timestamp: timestamp,
          aggregateId: 'c1',
          aggregateType: 'customer',
          version: 2,
          ...causes,
          data: { ...payment, amountMinor },
          metadata: { source },
        }
        expect(cloudEventSchema.safeParse(toCloudEvent(event)).success).toBe(true)
        const result = decodeEvent(bytesOf(encodeEvent(event)), catalog, nowMs, { historyFrom: '0000-01-01T00:00:00Z' })
        expect(result).toMatchObject({ kind: 'valid', event, observedAt: timestamp })
        if (result.kind === 'valid') expect(encodeEvent(result.event)).toBe(encodeEvent(event))
      }),
      { seed, numRuns: 200 },
    )
  })
})

describe('I6: decoding is total', () => {
  const answers = (result: { readonly kind: string }) => ['valid', 'invalid'].includes(result.kind)

  it('any bytes are valid or invalid, and never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => answers(decodeEvent(bytes, catalog, nowMs))),
      { seed, numRuns: 1_000 },
    )
  })

  it('for any JSON, and for events with any part replaced by any JSON', () => {
    const json = fc.jsonValue({ maxDepth: 4 })
    const fields = [...Object.keys(cloud()), ...Object.keys(domain()), 'causationid', 'metadata', 'datacontenttype']
    const changed = fc
      .tuple(fc.constantFrom(cloud(), domain()), fc.constantFrom(...fields), json)
      .map(([event, field, value]) => ({ ...event, [field]: value }))
    const data = fc
      .tuple(fc.constantFrom('payment.initiated', 'fraud.reported', 'customer.profile_changed'), json, json)
      .map(([type, value, other]) => cloud({ type, dataschema: schemaOf(type, 1), data: { ...fraud, value, other } }))
    fc.assert(
      fc.property(fc.oneof(json, changed, data), (value) => {
        const result = decode(value)
        if (result.kind === 'valid') expect(Number.isSafeInteger(result.observedAt)).toBe(true)
        return answers(result)
      }),
      { seed, numRuns: 2_000 },
    )
  })

  it('for values that are no JSON at all', () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })
    fc.assert(
      fc.property(anything, (value) => answers(parseEvent(value, catalog, nowMs))),
      { seed, numRuns: 1_000 },
    )
  })

  it('for any time that the schema takes: it is a number of milliseconds', () => {
    const two = (max: number) => fc.integer({ min: 0, max }).map((n) => String(n).padStart(2, '0'))
    const time = fc
      .tuple(
        fc.integer({ min: 0, max: 9999 }).map((year) => String(year).padStart(4, '0')),
        two(13),
        two(32),
        two(25),
        two(61),
        fc.option(two(61)),
        fc.option(fc.integer({ min: 0 }).map(String)),
        fc.oneof(
          fc.constant('Z'),
          fc.tuple(fc.constantFrom('+', '-'), two(25), two(61)).map(([sign, h, m]) => `${sign}${h}:${m}`),
        ),
      )
      .map(([y, mo, d, h, mi, s, f, zone]) => {
        const seconds = s === null ? '' : `:${s}${f === null ? '' : `.${f}`}`
        return `${y}-${mo}-${d}T${h}:${mi}${seconds}${zone}`
      })
    let accepted = 0
    fc.assert(
      fc.property(time, (text) => {
        const result = decodeEvent(bytesOf(JSON.stringify(cloud({ time: text }))), catalog, Infinity, {
          historyFrom: '0000-01-01T00:00:00Z',
        })
        if (result.kind === 'invalid') {
          expect(result.code).toBe('invalid_envelope')
          return
        }
        accepted += 1
        expect(Number.isSafeInteger(result.event.timestamp), text).toBe(true)
      }),
      { seed, numRuns: 3_000 },
    )
    expect(accepted).toBeGreaterThan(300)
  })
})
