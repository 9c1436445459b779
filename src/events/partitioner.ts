/**
 * Kafka's default partitioner, so that every client and both log drivers put a key into the same partition:
 * murmur2 (seed 0x9747b28c) of the key's UTF-8 bytes, sign bit cleared, modulo the number of partitions.
 * Source: org.apache.kafka.common.utils.Utils#murmur2.
 */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(encoder.encode(key)) & 0x7fffffff) % partitions
}

/** A keyed record in another partition than its key gives; events of one aggregate are then handled out of order. */
export function isMisplaced(
  { key, partition }: { readonly key: string | null; readonly partition: number },
  partitions: number,
): boolean {
  return key !== null && key !== '' && partitionOf(key, partitions) !== partition
}

const encoder = new TextEncoder()
const m = 0x5bd1e995

function murmur2(data: Uint8Array): number {
  const { length } = data
  let hash = 0x9747b28c ^ length
  const words = length >> 2
  const view = new DataView(data.buffer, data.byteOffset, length)
  for (let word = 0; word < words; word += 1) {
    let k = Math.imul(view.getInt32(word * 4, true), m)
    k ^= k >>> 24
    hash = Math.imul(hash, m) ^ Math.imul(k, m)
  }
  const rest = words * 4
  const left = length - rest
  if (left >= 3) hash ^= view.getUint8(rest + 2) << 16
  if (left >= 2) hash ^= view.getUint8(rest + 1) << 8
  if (left >= 1) hash = Math.imul(hash ^ view.getUint8(rest), m)
  hash ^= hash >>> 13
  hash = Math.imul(hash, m)
  return hash ^ (hash >>> 15)
}
