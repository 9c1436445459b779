import { Kafka, CloudEvent } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { deadLetterReplayedSchema } from '../../../src/scoring/output-events.ts'
import { schemaUrn } from '../../../src/events/envelope.ts'
import type { LogRecord, OutgoingRecord } from '../../../src/ports/log.ts'
import { deadLetterRecord } from '../../../src/process/dead-letters/dead-letter.ts'
import {
  namesIn,
  readLetter,
  replayedRecord,
  type PlacedLetter,
} from '../../../src/process/dead-letters/placed-letter.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const nowMs = Date.UTC(2026, 3, 2)
const utf8 = (text: string) => new TextEncoder().encode(text)

/** The letter of a record, as it lies at offset 40 of the second partition of its topic. */
function letterOf(record: Partial<LogRecord>): PlacedLetter {
  const place = { topic: 'events', partition: 3, offset: 7, appendTimeMs: Date.UTC(2026, 3, 1) }
  const whole: LogRecord = { ...place, key: 'c1', headers: {}, value: utf8('{}'), ...record }
  const sent = deadLetterRecord(
    'letters',
    { kind: 'invalid', record: whole, code: 'invalid_json', detail: '' },
    'c',
    'd',
  )
  const reading = readLetter(placed(sent))
  if (reading.kind !== 'letter') throw new Error(`a ${reading.kind} was read`)
  return reading.letter
}

function placed({ topic, key, value, headers = {} }: OutgoingRecord): LogRecord {
  const bytes = typeof value === 'string' ? utf8(value) : value
  return { topic, partition: 1, offset: 40, appendTimeMs: nowMs, key, headers, value: bytes }
}

describe('that a letter was replayed', () => {
  test('is an event with a version, a time and a correlation, beside the letter', () => {
    const letter = letterOf({ headers: { traceparent } })
    const record = replayedRecord(letter, nowMs)
    expect([record.topic, record.key, record.headers?.['traceparent']]).toEqual([
      'letters',
      letter.subject,
      traceparent,
    ])
    const event = JSON.parse(String(record.value)) as Record<string, unknown>
    expect(event).toMatchObject({
      time: new Date(nowMs).toISOString(),
      correlationid: letter.id,
      causationid: letter.id,
    })
    expect(schemaUrn.exec(String(event['dataschema']))?.slice(1)).toEqual([event['type'], '1'])
    expect(deadLetterReplayedSchema.parse(event['data'])).toEqual({
      letterId: letter.id,
      position: { topic: 'letters', partition: 1, offset: 40 },
      replayedAtMs: nowMs,
    })
  })

  test('continues the correlation that the letter has', () => {
    const letter = { ...letterOf({}), correlationid: 'a-journey' }
    expect(JSON.parse(String(replayedRecord(letter, nowMs).value))).toMatchObject({ correlationid: 'a-journey' })
  })

  test('is read as such, and is no letter', () => {
    const letter = letterOf({})
    expect(readLetter(placed(replayedRecord(letter, nowMs)))).toMatchObject({
      kind: 'replayed',
      replayed: { letterId: letter.id, replayedAtMs: nowMs },
    })
  })
})

test('what anybody writes among the letters is foreign, and no error', () => {
  const record = placed(replayedRecord(letterOf({}), nowMs))
  const fault = { code: 'record_unreadable', detail: '' } as const
  expect(readLetter({ ...record, fault })).toEqual({ kind: 'foreign' })
  for (const value of ['', 'null', '[]', '{"id":"x"}', '{"type":"event.dead_lettered"}', '\uD800']) {
    expect(readLetter({ ...record, value: utf8(value) }), value).toEqual({ kind: 'foreign' })
  }
})

describe('a letter names its event', () => {
  const named = { eventId: 'p-1', eventType: 'payment.initiated', key: 'c1' }

  test.each([
    ['in the spelling of CloudEvents', { id: 'p-1', type: 'payment.initiated' }],
    ['in the spelling of this code', { eventId: 'p-1', eventType: 'payment.initiated' }],
  ])('%s', (_name, event) => {
    expect(namesIn(letterOf({ value: utf8(JSON.stringify(event)) }).data)).toEqual(named)
  })

  test('in binary mode by its headers, whether text can say all of them or not', () => {
    const event = new CloudEvent({ id: 'p-1', type: 'payment.initiated', source: 'urn:x', data: { a: 1 } })
    const headers = JSON.parse(JSON.stringify(Kafka.binary(event).headers)) as Record<string, string>
    expect(namesIn(letterOf({ headers, value: utf8('not json') }).data)).toEqual(named)
    const list = Object.entries(headers).map(([name, value]) => [utf8(name), utf8(value)] as const)
    const exact = { key: utf8('c1'), headers: [...list, [utf8('x'), null] as const], isValueNull: false }
    expect(namesIn(letterOf({ exact }).data)).toEqual(named)
  })

  test('only by what may be repeated: not by text outside the alphabet of ids, nor by what is no text', () => {
    for (const id of ['', '.', 'a\nb', 'x'.repeat(257), 5, null]) {
      expect(namesIn(letterOf({ value: utf8(JSON.stringify({ id, type: 'a.b' })) }).data)).toEqual({
        eventId: null,
        eventType: 'a.b',
        key: 'c1',
      })
    }
    for (const value of ['not json', '5', 'null', '']) {
      expect(namesIn(letterOf({ key: null, value: utf8(value) }).data)).toEqual({
        eventId: null,
        eventType: null,
        key: null,
      })
    }
  })
})
