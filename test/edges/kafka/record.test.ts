import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ExactParts } from '../../../src/events/codec/record-parts.ts'
import { readRecordSet } from '../../../src/edges/kafka/batch/record-set.ts'
import { toLogRecord } from '../../../src/edges/kafka/record.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import { batchBytes, type BatchRecord } from './batch/batch-bytes.ts'

const limits = { decodedBytesMax: 16 * 1_048_576, recordsMax: 10_000 }
const bytes = (maxLength: number) =>
  fc.oneof(
    fc.uint8Array({ maxLength }).map((array) => Buffer.from(array)),
    fc.constantFrom('', 'k', 'ключ', '\ufffd', '10', '__proto__', 'traceparent').map((word) => Buffer.from(word)),
  )
const headers = fc.array(fc.tuple(bytes(4), fc.option(bytes(4))), { maxLength: 3 })
/** Neighbours mostly share their headers, and sometimes their length alone. */
const records = fc
  .tuple(fc.array(headers, { minLength: 1, maxLength: 3 }), fc.array(fc.nat(2), { minLength: 1, maxLength: 40 }))
  .chain(([kinds, which]) =>
    fc.tuple(
      ...which.map((n) =>
        fc.record({ key: fc.option(bytes(8)), value: fc.option(bytes(40)), headers: fc.constant(kinds[n] ?? []) }),
      ),
    ),
  )

describe('a record of a fetch', () => {
  it('I6: says all that the log holds, in its texts or beside them', () => {
    fc.assert(
      fc.property(records, (sent) => {
        const found = readRecordSet(batchBytes({ base: 7, records: sent }), limits)
        const read = found.map((message) => toLogRecord('t', 3, message, 1_000))
        expect(read.map(exactOf).map(plain)).toEqual(sent.map(partsOf).map(plain))
        expect(read.map(({ value }) => hex(value))).toEqual(sent.map(({ value }) => hex(value ?? Buffer.alloc(0))))
        expect(read.map(({ offset }) => offset)).toEqual(sent.map((_, n) => 7 + n))
      }),
    )
  })

  it('has no exact parts where its texts say everything', () => {
    const key = Buffer.from('\ufffd')
    const [message] = readRecordSet(batchBytes({ records: [{ key, value: key, headers: [[key, key]] }] }), limits)
    if (message === undefined) throw new Error('no record')
    const record = toLogRecord('t', 0, message, 1_000)
    expect(record).toMatchObject({ key: '\ufffd', headers: { '\ufffd': '\ufffd' } })
    expect(record).not.toHaveProperty('exact')
  })
})

const utf8 = (text: string) => Buffer.from(text)
const hex = (of: Uint8Array | null) => (of === null ? null : Buffer.from(of).toString('hex'))

function partsOf({ key = null, value = null, headers = [] }: BatchRecord): ExactParts {
  return { key, headers, isValueNull: value === null }
}

function exactOf({ exact, key, headers }: LogRecord): ExactParts {
  if (exact !== undefined) return exact
  const pairs = Object.entries(headers).map(([name, value]) => [utf8(name), utf8(value)] as const)
  return { key: key === null ? null : utf8(key), headers: pairs, isValueNull: false }
}

function plain({ key, headers, isValueNull }: ExactParts) {
  return { key: hex(key), headers: headers.map(([name, value]) => [hex(name), hex(value)]), isValueNull }
}
