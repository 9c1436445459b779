import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/events/partitioner.ts'

/** With this many partitions nothing of the hash but its sign bit is lost. */
const all = 0x7fffffff

describe('the partitioner', () => {
  // Vectors of Kafka's own tests: org.apache.kafka.common.utils.UtilsTest#testMurmur2.
  it.each([
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
    ['abc', 479_470_107],
  ])('hashes %s as Kafka does', (key, hash) => {
    expect(partitionOf(key, all)).toBe((hash & 0x7fffffff) % all)
    expect(BigInt.asIntN(32, murmur2(key))).toBe(BigInt(hash))
    for (const partitions of [1, 2, 3, 4, 12, 256]) {
      expect(partitionOf(key, partitions)).toBe((hash & 0x7fffffff) % partitions)
    }
  })

  it('hashes bytes, not characters, of any length', () => {
    for (const key of ['', 'ü', 'a€', '€€', '😀', '😀b', 'kunde-ü-17', 'ÿÿÿÿÿÿÿ']) {
      for (const partitions of [7, 64, all]) {
        expect(partitionOf(key, partitions), key).toBe(Number(murmur2(key) & 0x7fffffffn) % partitions)
      }
    }
  })

  it('spreads customers evenly', () => {
    const counts = new Array<number>(16).fill(0)
    for (let i = 0; i < 16_000; i += 1) {
      const partition = partitionOf(String(i), 16)
      counts[partition] = (counts[partition] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  })
})

/** The same function over big integers, where nothing has a sign: checked by the vectors above, too. */
function murmur2(key: string): bigint {
  const bytes = [...new TextEncoder().encode(key)].map(BigInt)
  const m = 0x5bd1e995n
  const low32 = (value: bigint) => value & 0xffffffffn
  let hash = 0x9747b28cn ^ BigInt(bytes.length)
  const byte = (at: number) => bytes[at] ?? 0n
  let at = 0
  for (; at + 4 <= bytes.length; at += 4) {
    let k = low32((byte(at) | (byte(at + 1) << 8n) | (byte(at + 2) << 16n) | (byte(at + 3) << 24n)) * m)
    k = low32((k ^ (k >> 24n)) * m)
    hash = low32(hash * m) ^ k
  }
  if (at < bytes.length) {
    hash ^= byte(at) | (byte(at + 1) << 8n) | (byte(at + 2) << 16n)
    hash = low32(hash * m)
  }
  hash = low32((hash ^ (hash >> 13n)) * m)
  return hash ^ (hash >> 15n)
}
