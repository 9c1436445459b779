import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchRoomBytes, writeBatch } from '../../../../src/edges/kafka/batch/batch-writer.ts'
import { RecordPreparation } from '../../../../src/edges/kafka/record.ts'
import { batchBytes, type BatchRecord } from './batch-bytes.ts'

const timeMs = 1_790_000_000_000
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
/** Lengths around those at which a varint takes one byte more. */
const long = fc.constantFrom(63, 64, 127, 128, 8_191, 8_192, 70_000).map((length) => Buffer.alloc(length, 'é'))
const records = fc.array(
  fc.record({
    key: fc.option(bytes(20)),
    value: fc.option(fc.oneof(bytes(300), long)),
    headers: fc.array(fc.tuple(bytes(12), fc.option(bytes(80))), { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 200 },
)

function written(sent: readonly Required<BatchRecord>[]): Buffer {
  const prepared = sent.map(({ key, value, headers }) => {
    const exact = { key, headers, isValueNull: value === null }
    return new RecordPreparation().prepare({ topic: 't', key: '', value: value ?? '', exact }, 0)
  })
  const room = Buffer.alloc(batchRoomBytes(prepared) + 3)
  return room.subarray(3, writeBatch(room, 3, prepared, timeMs))
}

describe('a batch that we write', () => {
  it("has the bytes that the protocol's description spells", () => {
    fc.assert(
      fc.property(records, (sent) => {
        const spelled = batchBytes({ records: sent, attributes: 0, timesMs: [timeMs, timeMs], timeDelta: 0 })
        expect(written(sent).equals(spelled)).toBe(true)
      }),
    )
  })
})
