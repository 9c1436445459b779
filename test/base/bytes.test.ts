import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter, checksum } from '../../src/base/bytes.ts'
import { isRiverbankError } from '../../src/base/errors.ts'
import { testSeed as seed } from '../support/seed.ts'

const twoTo53 = 2 ** 53

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(1)
  write(writer)
  return writer.take()
}

const corrupt = (run: () => unknown) => {
  try {
    run()
    return false
  } catch (error) {
    return isRiverbankError(error, 'state_corrupt')
  }
}

describe('numbers as bytes', () => {
  const edges = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 42 + 1, twoTo53 - 1, twoTo53]

  it.each(edges)('%d survives as an unsigned integer', (value) => {
    const bytes = written((writer) => writer.unsigned(value))
    const reader = new ByteReader(bytes)
    expect(reader.unsigned()).toBe(value)
    expect(reader.done).toBe(true)
    expect(bytes.length).toBe(value === 0 ? 1 : Math.ceil((Math.floor(Math.log2(value)) + 1) / 7))
  })

  it.each(edges.filter((value) => value <= 2 ** 52))('%d survives with either sign', (value) => {
    const reader = new ByteReader(
      written((writer) => {
        writer.signed(value)
        writer.signed(-value)
      }),
    )
    expect(reader.signed()).toBe(value)
    expect(reader.signed()).toBe(value === 0 ? 0 : -value)
  })

  it('any sequence of them survives, through any growth of the buffer', () => {
    const item = fc.oneof(
      fc.tuple(fc.constant('unsigned' as const), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
      fc.tuple(fc.constant('signed' as const), fc.integer({ min: -(2 ** 52), max: 2 ** 52 })),
      fc.tuple(fc.constant('uint64' as const), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
      fc.tuple(fc.constant('uint32' as const), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
      fc.tuple(fc.constant('byte' as const), fc.integer({ min: 0, max: 255 })),
      fc.tuple(fc.constant('double' as const), fc.double()),
    )
    fc.assert(
      fc.property(fc.array(item, { maxLength: 40 }), (items) => {
        const bytes = written((writer) => items.forEach(([kind, value]) => writer[kind](value)))
        const reader = new ByteReader(bytes)
        for (const [kind, value] of items) expect(reader[kind]()).toBe(value)
        expect(reader.done).toBe(true)
        for (let length = 0; length < bytes.length; length += 1) {
          const cut = new ByteReader(bytes.subarray(0, length))
          expect(corrupt(() => items.forEach(([kind]) => cut[kind]()))).toBe(true)
        }
      }),
      { seed, numRuns: 200 },
    )
  })

  it('64-bit numbers sort as bytes as they do as numbers', () => {
    const numbers = [0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 1_700_000_000_000_000, twoTo53 - 1]
    const texts = numbers.map((value) => Buffer.from(written((writer) => writer.uint64(value))).toString('hex'))
    expect([...texts].sort()).toEqual(texts)
    expect(texts.every((text) => text.length === 16)).toBe(true)
  })

  it('a writer that is reset forgets, and what was taken stays', () => {
    const writer = new ByteWriter()
    writer.unsigned(300)
    const first = writer.take()
    writer.reset()
    writer.byte(7)
    expect([...writer.take()]).toEqual([7])
    expect([...first]).toEqual([172, 2])
  })
})

describe('the checksum', () => {
  it('notices every change of one byte, and of the length', () => {
    const bytes = Uint8Array.from({ length: 67 }, (_, i) => (i * 37) & 255)
    const whole = checksum(bytes, 0)
    for (let at = 0; at < bytes.length; at += 1) {
      for (let flip = 1; flip < 256; flip += 1) {
        const changed = bytes.slice()
        changed[at] = (changed[at] ?? 0) ^ flip
        if (checksum(changed, 0) === whole) throw new Error(`byte ${at} ^ ${flip} goes unnoticed`)
      }
    }
    expect(checksum(Uint8Array.of(...bytes, 0), 0)).not.toBe(whole)
    expect(checksum(bytes.subarray(0, 66), 0)).not.toBe(whole)
  })

  it('does not depend on where the bytes lie in memory', () => {
    const bytes = Uint8Array.from({ length: 31 }, (_, i) => i)
    const moved = new Uint8Array(40)
    moved.set(bytes, 5)
    expect(checksum(moved.subarray(5, 36), 3)).toBe(checksum(bytes, 3))
  })
})
