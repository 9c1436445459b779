/**
 * 64 bits of an event id, as two unsigned halves. Two murmur3-style mixes over the UTF-16 code units with different
 * seeds; with 1,000 ids remembered per aggregate, two different ids meet once in 10^16 events.
 */
export interface EventIdHash {
  readonly high: number
  readonly low: number
}

export function hashEventId(id: string): EventIdHash {
  return hashText(id, seeds)
}

const seeds: EventIdHash = { high: 0x9747b28c, low: 0x3c6ef372 }

/** The same mixes from other seeds. */
export function hashText(text: string, { high: highSeed, low: lowSeed }: EventIdHash): EventIdHash {
  let high = highSeed
  let low = lowSeed
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    high = Math.imul(high ^ unit, 0xcc9e2d51)
    high = (high << 13) | (high >>> 19)
    low = Math.imul(low ^ unit, 0x1b873593)
    low = (low << 15) | (low >>> 17)
  }
  return { high: finish(high ^ text.length), low: finish(low ^ Math.imul(text.length, 0x5bd1e995)) }
}

export function isSameHash(a: EventIdHash, b: EventIdHash): boolean {
  return a.high === b.high && a.low === b.low
}

/** murmur3's finalizer: every input bit reaches every output bit. */
function finish(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
