import { expect, test } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { createReferenceEvaluator } from '../../../src/compile/reference-evaluator.ts'
import { referenceFeatures, type ReferenceObservation } from '../../../src/compile/reference.ts'
import { day } from '../support/feed.ts'

const seed = Math.floor(Math.random() * 1e9)
const dayMs = 86_400_000

test(`I3: a life that drops what is forgotten reads as one that keeps everything (seed ${seed})`, () => {
  let state = seed
  const next = () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648
  const evaluator = createReferenceEvaluator(riverbank)
  expect(evaluator.fields).toEqual(['amountMinor', 'terminalId'])
  for (const entity of ['customer', 'terminal']) {
    const life = evaluator.begin(entity, 10)
    const all: ReferenceObservation[] = []
    let late = 0
    for (let i = 0; i < 400; i += 1) {
      const sequence = 10 + i
      // Half a day apart, so that the life outlives its horizon several times; some far behind, some from the future.
      const timeMs = Math.floor(
        day + i * 0.5 * dayMs - (next() < 0.3 ? next() * 80 * dayMs : 0) + (next() < 0.02 ? 20 * dayMs : 0),
      )
      if (i % 7 === 0) {
        const readMs = timeMs + Math.floor(next() * 10 * dayMs)
        const whole = referenceFeatures(riverbank, entity, all, { sequence, born: 10, timeMs: readMs })
        expect(life.read(sequence, readMs)).toEqual(whole)
      }
      const eventType =
        next() < 0.3 ? 'fraud.reported' : next() < 0.1 ? 'customer.profile_changed' : 'payment.initiated'
      const data = { amountMinor: Math.floor(next() * 10_000), terminalId: `t${Math.floor(next() * 5)}` }
      const observation = { sequence, timeMs, eventType, data }
      all.push(observation)
      if (life.apply(observation) === 'too_late') late += 1
    }
    expect(late).toBeGreaterThan(0)
  }
})
