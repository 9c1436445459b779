import { CloudEvent, Kafka } from 'cloudevents'
import { describe, expect, it } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { encodeEvent, structuredHeaders, type EventCatalog } from '../../../src/events/event.ts'
import { decodeEvent } from '../../../src/events/decode-event.ts'
import { readRecordEvent } from '../../../src/events/codec/record-event.ts'

const catalog: EventCatalog = new Map(riverbank.events.map((event) => [event.type, event]))
const appendTimeMs = Date.UTC(2026, 5, 1, 12)
const data = { customerId: 'c1', terminalId: 't1', amountMinor: 1_250, currency: 'EUR' }
const attributes = {
  ...{ id: 'e1', type: 'payment.initiated', source: 'urn:js', subject: 'c1', time: '2026-06-01T11:59:59.000Z' },
  ...{ dataschema: 'urn:riverbank:payment.initiated:2', correlationid: 'order-7' },
  datacontenttype: 'application/json',
}
const bytes = (text: string) => new TextEncoder().encode(text)

/** As the JavaScript SDK writes it for Kafka. */
function binary(changes: Readonly<Record<string, unknown>> = {}) {
  const message = Kafka.binary(new CloudEvent({ ...attributes, data, ...changes }))
  return { headers: message.headers as Record<string, string>, value: bytes(JSON.stringify(data)) }
}

const read = (record: { headers: Readonly<Record<string, string>>; value: Uint8Array }) =>
  readRecordEvent({ ...record, appendTimeMs }, catalog)

describe('a record in binary mode', () => {
  it('is the event that the same attributes make in structured mode', () => {
    const { headers, value } = binary()
    expect(headers).toMatchObject({ ce_id: 'e1', ce_correlationid: 'order-7', 'content-type': 'application/json' })
    const structured = JSON.stringify({ specversion: '1.0', ...attributes, data })
    expect(read({ headers, value })).toEqual(decodeEvent(bytes(structured), catalog, appendTimeMs))
    expect(read({ headers, value })).toMatchObject({
      kind: 'valid',
      event: { eventId: 'e1', correlationId: 'order-7' },
    })
  })

  it('is of the newest version without a dataschema, and JSON without a content type', () => {
    const { headers, value } = binary()
    const { ce_dataschema: _schema, 'content-type': _type, ...bare } = headers
    expect(read({ headers: bare, value })).toMatchObject({ kind: 'valid', received: { version: 2 } })
  })

  it('reads headers as they are: Kafka does not percent-encode', () => {
    const { headers, value } = binary()
    expect(read({ headers: { ...headers, ce_id: 'café %41' }, value })).toMatchObject({
      event: { eventId: 'café %41' },
    })
  })

  it.each<[string, Readonly<Record<string, string>>, Uint8Array]>([
    ['invalid_json', {}, bytes('{"customerId"')],
    ['invalid_json', {}, new Uint8Array()],
    ['undecodable_bytes', {}, new Uint8Array([0xff])],
    ['invalid_envelope', { ce_specversion: '2.0' }, bytes(JSON.stringify(data))],
    ['invalid_envelope', { 'content-type': 'application/avro' }, bytes(JSON.stringify(data))],
    ['forbidden_key', { ce_prototype: 'x' }, bytes(JSON.stringify(data))],
    ['event_too_large', {}, new Uint8Array(65_536)],
  ])('I6: answers %s, with the id when there is one: %j', (code, changes, value) => {
    const result = read({ headers: { ...binary().headers, ...changes }, value })
    expect(result).toMatchObject({ kind: 'invalid', code })
    if (code !== 'event_too_large') expect(result).toMatchObject({ eventId: 'e1' })
  })
})

describe('a record in structured mode', () => {
  it('says so itself, whatever other headers say; without a word it is what it was before there were modes', () => {
    const result = read(binary())
    if (result.kind !== 'valid') throw new Error('the event is valid')
    const value = bytes(encodeEvent(result.received))
    for (const headers of [structuredHeaders, { ...structuredHeaders, ce_specversion: '1.0', ce_id: 'other' }, {}]) {
      expect(read({ headers, value })).toEqual(result)
    }
  })

  it('may spell attributes that are not set as null', () => {
    const nulls = { dataschema: null, datacontenttype: null, correlationid: null, causationid: null }
    const value = bytes(JSON.stringify({ specversion: '1.0', ...attributes, ...nulls, data }))
    const result = read({ headers: {}, value })
    expect(result).toMatchObject({ kind: 'valid', received: { version: 2 } })
    expect(result).not.toHaveProperty('event.correlationId')
  })

  it('names what it does not read: data as base64', () => {
    const { data: _data, ...others } = { specversion: '1.0', ...attributes, data }
    const value = bytes(JSON.stringify({ ...others, data_base64: 'e30=' }))
    expect(read({ headers: {}, value })).toMatchObject({
      code: 'invalid_envelope',
      detail: expect.stringContaining('base64'),
    })
  })
})
