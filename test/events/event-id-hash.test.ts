import { describe, expect, it } from 'vitest'
import { hashEventId } from '../../src/events/event-id-hash.ts'

const uuidOf = (n: number) => `5b8d8d5e-0c3f-4a41-9d2e-${n.toString(16).padStart(12, '0')}`

const families: Readonly<Record<string, (n: number) => string>> = {
  sequential: (n) => `pay-${n}`,
  'uuids that differ in their end': uuidOf,
  'numbers in front of a long common end': (n) => `${n}:payments.events:the-same-producer-as-always`,
  'three characters each': (n) => String.fromCharCode(33 + (n % 90), 33 + ((n / 90) % 90), 33 + n / 8_100),
  'two counters that run against each other': (n) => `${1_000_000 - n}/${n}`,
}

describe('the hash of event ids', () => {
  it.each(Object.entries(families))('tells 250,000 ids apart: %s', (_name, idOf) => {
    expect(collisions(idOf, 250_000)).toBe(0)
  })

  it('tells a million consecutive ids apart', () => {
    expect(collisions((n) => `payment-${n}`, 1_000_000)).toBe(0)
  })

  it('has two halves that know nothing of each other', () => {
    // With 2^16 ids, a half of 32 bits has about half a collision, and the two halves never one together.
    let agreements = 0
    for (let n = 0; n < 65_536; n += 1) {
      const { high, low } = hashEventId(`id-${n}`)
      if (((high ^ low) & 0xff) === 0) agreements += 1
      expect(Number.isInteger(high) && high >= 0 && high < 2 ** 32 && low >= 0 && low < 2 ** 32).toBe(true)
    }
    expect(Math.abs(agreements - 256)).toBeLessThan(100)
  })

  it('tells ids apart that are each other with zeros, spaces or case', () => {
    const ids = ['', '\0', '\0\0', 'a', 'a\0', 'A', 'a ', ' a', 'aa', 'ä', 'a\u0308', 'id-1', 'id-10', 'id-01']
    const hashes = ids.map((id) => JSON.stringify(hashEventId(id)))
    expect(new Set(hashes).size).toBe(ids.length)
  })
})

/** Ids that share both halves with an earlier one. Few share even one half, so only those are looked at twice. */
function collisions(idOf: (n: number) => string, count: number): number {
  const highs = new Float64Array(count)
  const lows = new Map<number, Set<number>>()
  for (let n = 0; n < count; n += 1) highs[n] = hashEventId(idOf(n)).high
  const sorted = highs.slice().sort()
  const shared = new Set(sorted.filter((high, i) => high === sorted[i + 1]))
  let found = 0
  for (let n = 0; n < count; n += 1) {
    const { high, low } = hashEventId(idOf(n))
    if (!shared.has(high)) continue
    const known = lows.get(high) ?? new Set()
    if (known.has(low)) found += 1
    lows.set(high, known.add(low))
  }
  return found
}
