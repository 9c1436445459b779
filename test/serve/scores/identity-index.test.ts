import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IdentityIndex, type Identity } from '../../../src/serve/scores/identity-index.ts'
import { testSeed as seed } from '../../support/seed.ts'

const identity = fc.record({
  aggregateId: fc.constantFrom('c-1', 'c-2', 'c-3', 'c-4', 'c-5'),
  eventId: fc.nat({ max: 30 }).map((n) => `p-${n}`),
})

test('answers what a list of the newest identities answers, whatever is added and forgotten', () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(identity, { freq: 20 }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 17 }),
      (steps, capacity) => {
        const index = new IdentityIndex(capacity)
        let held: (Identity & { slot: number })[] = []
        const same = (a: Identity, b: Identity) => a.aggregateId === b.aggregateId && a.eventId === b.eventId
        for (const step of steps) {
          if (step === null) {
            if (held.length > 0) index.forgetOldest()
            held = held.slice(1)
          } else {
            const slot = index.add(step)
            const known = held.some((each) => same(each, step))
            expect(slot === null).toBe(known)
            if (slot !== null) {
              if (held.length === capacity) held = held.slice(1)
              expect(held.map((each) => each.slot)).not.toContain(slot)
              held.push({ ...step, slot })
            }
          }
          expect(index.head - index.tail).toBe(held.length)
          const asked = step ?? held[0]
          if (asked === undefined) continue
          expect(index.find(asked)).toBe(held.find((each) => same(each, asked))?.slot ?? null)
          const sharing = held.filter(({ eventId }) => eventId === asked.eventId).map(({ slot }) => slot)
          expect(index.sharing(asked.eventId, 100)).toEqual(sharing.toReversed())
          expect(index.sharing(asked.eventId, 1)).toEqual(sharing.slice(-1))
        }
      },
    ),
    { seed, numRuns: 300 },
  )
})

test('takes 48 bytes an entry, and nothing for a full one that goes on', () => {
  const before = process.memoryUsage().arrayBuffers
  const index = new IdentityIndex(100_000)
  for (let n = 0; n < 250_000; n += 1) index.add({ aggregateId: `c-${n % 999}`, eventId: `p-${n}` })
  expect(index.head - index.tail).toBe(100_000)
  expect(index.find({ aggregateId: `c-${249_999 % 999}`, eventId: 'p-249999' })).toBe(249_999 % 100_000)
  expect(index.find({ aggregateId: `c-${149_999 % 999}`, eventId: 'p-149999' })).toBeNull()
  expect((process.memoryUsage().arrayBuffers - before) / 100_000).toBeLessThan(48)
})
