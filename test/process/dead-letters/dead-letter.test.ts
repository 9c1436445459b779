import { expect, test } from 'vitest'
import { replayOf } from '../../../src/process/dead-letters/replay.ts'
import { deadLetterSchema, type DeadLetter } from '../../../src/scoring/output-events.ts'
import type { ExactHeader } from '../../../src/events/codec/record-parts.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import { deadLetterRecord, keyAndHeadersOf } from '../../../src/process/dead-letters/dead-letter.ts'
import { seeded } from '../../../scripts/fuzz/definitions.ts'
import { testSeed } from '../../support/seed.ts'

const topic = 'dead-letters'
const place = { topic: 'events', partition: 3, offset: 7, appendTimeMs: Date.UTC(2026, 3, 1) }
const plain: LogRecord = { ...place, key: 'k', value: new Uint8Array([1, 2]), headers: {} }

function letterOf(record: LogRecord): DeadLetter {
  const { value } = deadLetterRecord(topic, { kind: 'invalid', record, code: 'invalid_json', detail: '' }, 'c', 'd')
  expect(Buffer.byteLength(value), 'fits the topic of dead letters').toBeLessThan(2 * 1_048_576)
  return deadLetterSchema.parse((JSON.parse(String(value)) as { data: unknown }).data)
}

test('I6: a dead letter gives back the bytes of the key and the list of headers, whatever they are', () => {
  const random = seeded(testSeed)
  const bytes = () => new Uint8Array(Array.from({ length: random.below(5) }, () => random.below(256)))
  for (let n = 0; n < 500; n += 1) {
    const headers = Array.from({ length: random.below(6) }, (): ExactHeader => [
      bytes(),
      random.chance(0.3) ? null : bytes(),
    ])
    const exact = { key: random.chance(0.2) ? null : bytes(), headers, isValueNull: random.chance(0.2) }
    const value = exact.isValueNull ? new Uint8Array(0) : bytes()
    const letter = letterOf({ ...plain, value, exact })
    expect(keyAndHeadersOf(letter).exact, `seed ${testSeed}, ${n}`).toEqual(exact)
    const sent = replayOf(letter)
    const attempts = [Buffer.from('riverbank-attempts'), Buffer.from('1')]
    expect(sent.exact?.headers.map(([name, text]) => [plainly(name), plainly(text)])).toEqual(
      [...headers, attempts].map(([name = null, text = null]) => [plainly(name), plainly(text)]),
    )
    expect([plainly(sent.exact?.key ?? null), sent.exact?.isValueNull]).toEqual([plainly(exact.key), exact.isValueNull])
    expect([sent.topic, sent.partition, plainly(Buffer.from(sent.value))]).toEqual(['events', 3, plainly(value)])
  }
})

const plainly = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'))

test('a letter of before is read and sent as before', () => {
  const before = {
    ...{ code: 'invalid_json', detail: '', attempts: 2, position: { topic: 'events', partition: 0, offset: 1 } },
    ...{ encoding: 'text', key: 'k', headers: { traceparent: 't' }, value: 'AQI=' },
  }
  expect(replayOf(deadLetterSchema.parse(before))).toEqual({
    ...{ topic: 'events', partition: 0, key: 'k', value: Buffer.from([1, 2]) },
    headers: { traceparent: 't', 'riverbank-attempts': '2' },
  })
})

test('a record without a key is sent without one', () => {
  const sent = replayOf(letterOf({ ...plain, key: null, headers: { a: 'b', 'riverbank-attempts': '4' } }))
  expect(sent.exact?.key).toBeNull()
  const headers = sent.exact?.headers.map(([name, value]) => [
    Buffer.from(name).toString(),
    Buffer.from(value ?? []).toString(),
  ])
  expect(headers).toEqual([
    ['a', 'b'],
    ['riverbank-attempts', '5'],
  ])
})

test('of what is too long a letter has the beginning, and says how long it is', () => {
  const letter = letterOf({ ...plain, value: new Uint8Array(3_000_000) })
  expect([letter.valueBytes, Buffer.from(letter.value, 'base64').length]).toEqual([3_000_000, 1_200_000])
  expect(letterOf(plain)).not.toHaveProperty('valueBytes')
})

test('the largest record with headers of bytes fits', () => {
  const headers = Array.from({ length: 500 }, (): ExactHeader => [new Uint8Array(10), new Uint8Array(20).fill(255)])
  const letter = letterOf({
    ...plain,
    value: new Uint8Array(1_048_576),
    exact: { key: null, headers, isValueNull: false },
  })
  expect(letter).not.toHaveProperty('valueBytes')
})
