import { gzipSync } from 'node:zlib'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { beforeAll, describe, expect, test } from 'vitest'
import type { FetchedRecord } from '../../../../src/edges/kafka/batch/fetched-record.ts'
import { readRecordSet } from '../../../../src/edges/kafka/batch/record-set.ts'
import { prepareZstd } from '../../../../src/edges/kafka/batch/zstd-frame.ts'
import { randomFrom } from '../../../../scripts/chaos/traffic.ts'
import { testSeed } from '../../../support/seed.ts'
import { batchBytes, sealed, varint, type BatchRecord } from './batch-bytes.ts'

const limits = { decodedBytesMax: 1_048_576, recordsMax: 10_000 }
const read = (bytes: Buffer) => readRecordSet(bytes, limits)
const record = (value: string): BatchRecord => ({ key: Buffer.from('k'), value: Buffer.from(value) })
const offsetsOf = (records: readonly FetchedRecord[]) => records.map(({ offset }) => Number(offset))
const valuesOf = (records: readonly FetchedRecord[]) => records.map(({ value }) => value?.toString() ?? null)
const three = [record('a'), record('b'), record('c')]

const below = (seed: number) => {
  const random = randomFrom(seed)
  return (limit: number) => Math.floor(random() * limit)
}

beforeAll(() => prepareZstd())

/** How Java writes snappy: blocks of at most 32 KB, each with its length. */
function xerial(bytes: Buffer, versions: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0]), versions]
  for (let at = 0; at < bytes.length; at += 32_768) {
    const block = snappy.compressSync(bytes.subarray(at, at + 32_768))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

/** A frame of raw blocks without a content size, as a stream is written: the format, without a compressor. */
function storedZstd(bytes: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58])]
  for (let at = 0; at < bytes.length || at === 0; at += 65_536) {
    const block = bytes.subarray(at, at + 65_536)
    const head = Buffer.alloc(3)
    head.writeUIntLE((block.length << 3) | (at + 65_536 >= bytes.length ? 1 : 0), 0, 3)
    parts.push(head, block)
  }
  return Buffer.concat(parts)
}

/** One byte, repeated so often: a block of four bytes that stands for all of them. */
function repeatedZstd(count: number, told: boolean): Buffer {
  const blocks: Buffer[] = []
  for (let left = count; left > 0; left -= 131_072) {
    const head = Buffer.alloc(4, 0x61)
    head.writeUIntLE((Math.min(left, 131_072) << 3) | 2 | (left <= 131_072 ? 1 : 0), 0, 3)
    blocks.push(head)
  }
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(count))
  const head = told
    ? Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0]), size])
    : Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58])
  return Buffer.concat([head, ...blocks])
}

const littleEndian = Buffer.from('0100000001000000', 'hex')
const codecs = [
  { name: 'gzip', codec: 1, compress: (b: Buffer) => gzipSync(b) },
  { name: 'snappy, one block', codec: 2, compress: (b: Buffer) => snappy.compressSync(b) },
  {
    name: 'snappy, as Java writes it',
    codec: 2,
    compress: (b: Buffer) => xerial(b, Buffer.from('0000000100000001', 'hex')),
  },
  { name: 'snappy, as Redpanda writes it', codec: 2, compress: (b: Buffer) => xerial(b, littleEndian) },
  { name: 'lz4', codec: 3, compress: (b: Buffer) => lz4.compressFrameSync(b) },
  { name: 'zstd', codec: 4, compress: storedZstd },
]

describe.each(codecs)('$name', ({ codec, compress }) => {
  test('gives back what was compressed, from nothing to several blocks', () => {
    const records = [record(''), record('x'.repeat(200_000)), { key: null, value: null }, record('ü'.repeat(40_000))]
    const found = read(batchBytes({ base: 40, records, codec, compress }))
    expect(offsetsOf(found)).toEqual([40, 41, 42, 43])
    expect(valuesOf(found)).toEqual(records.map(({ value }) => value?.toString() ?? null))
  })

  test('I6: more than the bound is one record with the batch for its bytes, and the next batch is read', () => {
    const large = batchBytes({ records: [record('x'.repeat(2_000_000)), record('y')], codec, compress })
    const found = read(Buffer.concat([large, batchBytes({ base: 2, records: three })]))
    expect(offsetsOf(found)).toEqual([1, 2, 3, 4])
    expect(found[0]?.fault?.code).toBe('batch_unreadable')
    expect(found[0]?.value?.equals(large)).toBe(true)
  })

  test('I6: damage that the checksum does not tell is one record, never an error', () => {
    const random = below(testSeed)
    const whole = batchBytes({ records: [record('x'.repeat(3_000)), ...three], codec, compress })
    for (let n = 0; n < 300; n += 1) {
      const bytes = Buffer.from(whole)
      const at = 61 + random(bytes.length - 61)
      bytes[at] = random(256)
      const cut = sealed(random(2) === 0 ? bytes : withLength(bytes.subarray(0, at)))
      const found = readRecordSet(cut, limits)
      const faults = found.filter(({ fault }) => fault !== null)
      expect(faults.length === 0 ? found.length : found.length + 3, `seed ${testSeed}, ${n}`).toBe(4)
      expect(Number(found.at(-1)?.offset)).toBe(3)
    }
  })
})

function withLength(batch: Buffer): Buffer {
  const copy = Buffer.from(batch)
  copy.writeInt32BE(copy.length - 12, 8)
  return copy
}

test.each([true, false])('zstd that stands for gigabytes is refused before they are (size told: %s)', (told) => {
  const before = process.memoryUsage().rss
  const [found] = read(batchBytes({ records: three, codec: 4, compress: () => repeatedZstd(4 * 2 ** 30, told) }))
  expect(found?.fault?.code).toBe('batch_unreadable')
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20)
})

test('lz4 whose blocks could be gigabytes is refused before they are', () => {
  const block = Buffer.from([1, 0, 0, 0x80, 0x61])
  const frame = Buffer.concat([
    Buffer.from('04224d186070', 'hex'),
    Buffer.of(0x73),
    ...Array<Buffer>(20_000).fill(Buffer.from([4, 0, 0, 0, 0x1f, 0x61, 1, 0])),
    block,
    Buffer.alloc(4),
  ])
  const [found] = read(batchBytes({ records: three, codec: 3, compress: () => frame }))
  expect(found?.fault).toMatchObject({ code: 'batch_unreadable', detail: expect.stringContaining('at most') as string })
})

test('an unknown codec, and a message format before batches, are records with a fault', () => {
  const unknown = batchBytes({ records: three, codec: 6 })
  const old = batchBytes({ base: 3, records: three })
  old.writeInt8(1, 16)
  const found = read(Buffer.concat([unknown, old, batchBytes({ base: 9, records: three })]))
  expect(offsetsOf(found)).toEqual([2, 3, 9, 10, 11])
  expect(found.map(({ fault }) => fault?.code ?? null)).toEqual([
    'batch_unreadable',
    'batch_unreadable',
    null,
    null,
    null,
  ])
})

test('I6: a wrong checksum is one record at the end of its batch, and skips nothing of the next', () => {
  const random = below(testSeed)
  for (let n = 0; n < 500; n += 1) {
    const damaged = batchBytes({ base: 10, records: three })
    const at = 17 + random(damaged.length - 17)
    damaged[at] = (damaged[at] as number) ^ (1 + random(255))
    const found = read(Buffer.concat([damaged, batchBytes({ base: 13, records: three })]))
    expect(found[0]?.fault?.code, `seed ${testSeed}, ${n}: byte ${at}`).toBe('batch_unreadable')
    expect(Number(found[0]?.offset)).toBeGreaterThanOrEqual(10)
    expect(offsetsOf(found.slice(1))).toEqual([13, 14, 15])
  }
})

test('a record that claims to be longer than its batch spoils the batch, not the process', () => {
  const records = batchBytes({
    records: three,
    compress: (bytes) => Buffer.concat([varint(2_000_000), bytes.subarray(1)]),
  })
  expect(read(records).map(({ fault }) => fault?.code)).toEqual(['batch_unreadable'])
  const many = batchBytes({ records: three })
  many.writeInt32BE(2 ** 31 - 1, 57)
  expect(read(sealed(many)).map(({ fault }) => fault?.code)).toEqual(['batch_unreadable'])
})

test('headers come in their order, with repeats, nulls and bytes', () => {
  const headers = [
    [Buffer.from('10'), Buffer.from('ten')],
    [Buffer.from('a'), null],
    [Buffer.from('10'), Buffer.from([0xff, 0x00])],
    [Buffer.from([0xfe]), Buffer.alloc(0)],
  ] as const
  const [found] = read(batchBytes({ records: [{ headers }] }))
  expect(found?.parts().headers.pairs).toEqual(headers)
})

test('the end of a fetch may be cut anywhere, and a batch of nothing is read past', () => {
  const first = batchBytes({ records: three })
  const both = Buffer.concat([first, batchBytes({ base: 3, records: three })])
  for (let length = 0; length < both.length; length += 1) {
    expect(offsetsOf(read(both.subarray(0, length)))).toEqual(length < first.length ? [] : [0, 1, 2])
  }
  const empty = batchBytes({ base: 5, records: three })
  empty.writeInt32BE(0, 57)
  const compacted = withLength(empty.subarray(0, 61))
  const [marker, ...rest] = read(sealed(compacted))
  expect([marker?.offset, marker?.isControlRecord, rest.length]).toEqual(['7', true, 0])
})

test('a fetch is read up to the bound, and what follows with the next one', () => {
  const large = (base: number) =>
    batchBytes({ base, records: [record('x'.repeat(600_000))], codec: 1, compress: (b) => gzipSync(b) })
  expect(offsetsOf(read(Buffer.concat([large(0), large(1), large(2), large(3)])))).toEqual([0, 1])
})
