import { deduplication } from '../../src/engine/limits.ts'
import { describe, expect, it } from 'vitest'
import { observe, readFeatures, type Answer } from '../../src/engine/observe.ts'
import type { Observation } from '../../src/engine/observation.ts'
import { decodeState, encodeState } from '../../src/engine/state-codec/state-blob.ts'
import { knowsEventId, recentIdList, recentIdsOf, rememberEventId } from '../../src/engine/state/recent-ids.ts'
import { tablesOf, type EntityState, type StoredResponse } from '../../src/engine/state/state.ts'
import { dayMs, hourMs, secondMs } from '../../src/base/units.ts'
import { plainTables } from '../../src/engine/tiles/tiles.ts'
import { customerPlan, frozen, paymentTouch, terminalPlan } from './support/plans.ts'

const startMs = Date.UTC(2026, 0, 10)

function observation(offset: number, overrides: Partial<Observation> = {}): Observation {
  return {
    offset,
    appendTimeMs: startMs + offset,
    eventId: `e${offset}`,
    timeMs: startMs + offset * secondMs,
    eventTimeMs: startMs + offset * secondMs,
    data: { customerId: 'c', terminalId: 't', amountMinor: 100 },
    binding: paymentTouch.customer,
    reads: true,
    verdict: null,
    ...overrides,
  }
}

const atTerminal = (offset: number, overrides: Partial<Observation> = {}) =>
  observation(offset, { binding: paymentTouch.terminal, ...overrides })
const offsets = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => observation(from + i))

/** Applies one batch; what goes in is frozen, so that a change of the base would throw. */
const plainOf = (state: EntityState | null, plan = customerPlan) =>
  plainTables(plan, state === null ? [] : tablesOf(state))

function batch(
  base: EntityState | null,
  observations: readonly Observation[],
  floor?: number,
  partition = 0,
  plan = customerPlan,
) {
  const first = floor ?? observations[0]?.offset ?? 0
  const before = plainOf(base, plan)
  const result = observe(plan, frozen(base), frozen(observations), partition, first)
  expect(plainOf(base, plan), 'the base is left alone').toEqual(before)
  if (result.state === null) throw new Error('there is a state')
  return { ...result, state: result.state }
}

function snapshotOf(answer: Answer | undefined): StoredResponse {
  if (answer?.kind !== 'response') throw new Error(`a snapshot, not ${JSON.stringify(answer)}`)
  return answer.response
}
const outcomes = (answers: readonly Answer[]) =>
  answers.map((answer) => (answer.kind === 'gone' ? 'gone' : answer.response.outcome))
const countOf = (state: EntityState, atMs: number) => readFeatures(customerPlan, state, atMs).features[0]

describe('observing', () => {
  it('I1: counts each observation once, and an event never sees itself', () => {
    const { state, answers } = batch(null, offsets(0, 5))
    expect(answers.map((answer) => snapshotOf(answer).features?.[0])).toEqual([0, 1, 2, 3, 4])
    expect(countOf(state, startMs + 4 * secondMs)).toBe(5)
    expect(outcomes(answers)).toEqual(Array(5).fill('applied'))
  })

  it('gives each event the next sequence number, from the append time in microseconds on', () => {
    const { state, answers } = batch(null, offsets(3, 6))
    const first = (startMs + 3) * 1_000
    expect(answers.map((answer) => snapshotOf(answer).sequence)).toEqual([first, first + 1, first + 2])
    expect(answers.map((answer) => snapshotOf(answer).incarnation)).toEqual([first, first, first])
    expect(state).toMatchObject({ sequence: first + 3, incarnation: first })
  })

  it('begins a new incarnation above every sequence number of the expired one', () => {
    const old = batch(null, offsets(0, 900)).state
    const incarnation = batch(null, [observation(900, { appendTimeMs: startMs + 900 + customerPlan.ttlMs })]).state
    expect(incarnation.incarnation).toBeGreaterThan(old.sequence)
  })

  it('answers the same whether a batch comes whole or in pieces', () => {
    const whole = batch(null, offsets(0, 30))
    let state: EntityState | null = null
    const answers: Answer[] = []
    for (let at = 0; at < 30; at += 7) {
      const piece = batch(state, offsets(at, Math.min(30, at + 7)))
      state = piece.state
      answers.push(...piece.answers)
    }
    expect(answers).toEqual(whole.answers)
    expect([plainOf(state), state?.sequence]).toEqual([plainOf(whole.state), whole.state.sequence])
  })

  it('takes a sequence number for an event that no view looks at, and changes nothing else', () => {
    const before = batch(null, offsets(0, 3)).state
    const { state, answers } = batch(before, [
      observation(3, {
        binding: { ...paymentTouch.customer, updates: [] },
        timeMs: startMs + 90 * dayMs,
        reads: false,
      }),
    ])
    expect(snapshotOf(answers[0])).toMatchObject({ outcome: 'applied', features: null, sequence: before.sequence })
    expect(state.sequence).toBe(before.sequence + 1)
    expect([plainOf(state), state.newestTimeMs]).toEqual([plainOf(before), before.newestTimeMs])
  })
})

describe('R1: what was applied before', () => {
  it('is answered with what was answered then, and changes nothing', () => {
    const first = batch(null, offsets(0, 10))
    const again = batch(first.state, offsets(0, 10))
    expect(again.answers).toEqual(first.answers)
    expect(again.changed).toBe(false)
    expect(again.state).toBe(first.state)
  })

  it('is answered so in a longer batch as well, and from the stored bytes', () => {
    const first = batch(null, offsets(0, 4))
    const stored = decodeState(customerPlan, encodeState(customerPlan, first.state))
    const longer = batch(stored, offsets(0, 9))
    expect(longer.answers.slice(0, 4)).toEqual(first.answers)
    expect(longer.answers).toEqual(batch(null, offsets(0, 9)).answers)
    expect(longer.changed).toBe(true)
  })

  it('is known by partition: two partitions have offsets of their own', () => {
    const one = batch(null, [atTerminal(5)], 5, 0, terminalPlan)
    const two = batch(one.state, [atTerminal(5, { eventId: 'other' })], 5, 1, terminalPlan)
    expect(two.changed).toBe(true)
    expect(snapshotOf(two.answers[0]).sequence).toBe(one.state.sequence)
    expect(two.state.partitions.map(({ partition, next }) => [partition, next])).toEqual([
      [0, 6],
      [1, 6],
    ])
    expect(batch(two.state, [observation(5)], 5, 0, terminalPlan).answers).toEqual(one.answers)
  })
})

describe('R3: stored responses', () => {
  const kept = (state: EntityState) => state.partitions.map(({ responses }) => responses.map(({ offset }) => offset))

  it('go only below the first offset of the batch being written', () => {
    const first = batch(null, offsets(0, 5)).state
    expect(kept(first)).toEqual([[0, 1, 2, 3, 4]])
    expect(kept(batch(first, offsets(0, 8)).state)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7]])
    expect(kept(batch(first, offsets(3, 8)).state)).toEqual([[3, 4, 5, 6, 7]])
    // The batch began before this entity's first observation in it.
    expect(kept(batch(first, offsets(7, 8), 4).state)).toEqual([[4, 7]])
    expect(kept(batch(first, offsets(5, 8)).state)).toEqual([[5, 6, 7]])
  })

  it('of other partitions stay when a batch drops its own', () => {
    const one = batch(null, [atTerminal(5)], 5, 1, terminalPlan).state
    const two = batch(one, [atTerminal(90)], 90, 0, terminalPlan).state
    expect(kept(batch(two, [atTerminal(91)], 91, 0, terminalPlan).state)).toEqual([[91], [5]])
  })
})

describe('R5: what was applied before and is no longer stored', () => {
  it('is answered as gone, and changes no state', () => {
    const { state } = batch(batch(null, offsets(0, 5)).state, offsets(5, 9))
    const { answers, changed } = batch(state, offsets(0, 9))
    expect(outcomes(answers)).toEqual([...Array(5).fill('gone'), ...Array(4).fill('applied')])
    expect(changed).toBe(false)
  })

  it('still says whether it was a duplicate, for those that ask after it', () => {
    const first = batch(null, [observation(0), observation(1, { eventId: 'e0' })])
    expect(outcomes(first.answers)).toEqual(['applied', 'duplicate'])
    const { state } = batch(first.state, [observation(2)])
    const { answers } = batch(state, [observation(0), observation(1, { eventId: 'e0' })])
    expect(answers).toEqual([
      { kind: 'gone', verdict: null },
      { kind: 'gone', verdict: 'duplicate' },
    ])
  })
})

describe('a duplicate', () => {
  it('I1: is an event id at another offset; it takes a sequence number and changes no window', () => {
    const before = batch(null, offsets(0, 3)).state
    const { state, answers } = batch(before, [observation(3, { eventId: 'e1' })])
    expect(snapshotOf(answers[0])).toMatchObject({ outcome: 'duplicate', sequence: before.sequence })
    expect(state.sequence).toBe(before.sequence + 1)
    expect([plainOf(state), state.newestTimeMs, state.recentIds]).toEqual([
      plainOf(before),
      before.newestTimeMs,
      before.recentIds,
    ])
  })

  it('I1: within one batch as well, and again when the batch is replayed', () => {
    const events = [observation(0), observation(1, { eventId: 'e0' }), observation(2)]
    const first = batch(null, events)
    expect(outcomes(first.answers)).toEqual(['applied', 'duplicate', 'applied'])
    expect(batch(first.state, events).answers).toEqual(first.answers)
    expect(countOf(first.state, startMs + 2 * secondMs)).toBe(2)
  })

  it('I1: is one too when a producer put its copy into another partition, even at the same offset', () => {
    const { state } = batch(null, [observation(7)], 7, 0)
    for (const offset of [3, 7, 11]) {
      const { answers, state: after } = batch(state, [observation(offset, { eventId: 'e7' })], offset, 1)
      expect(outcomes(answers), `offset ${offset}`).toEqual(['duplicate'])
      const stored = encodeState(customerPlan, after)
      expect(encodeState(customerPlan, decodeState(customerPlan, stored))).toEqual(stored)
    }
  })

  it('is what the partition-key entity says, for all others', () => {
    const { answers } = batch(null, [observation(0, { verdict: 'duplicate' })], 0, 0, terminalPlan)
    expect(outcomes(answers)).toEqual(['duplicate'])
    const own = batch(null, [observation(0, { verdict: 'duplicate' })])
    expect(outcomes(own.answers)).toEqual(['applied'])
  })

  it('I2: is remembered for 24 hours of the log and a little more, whatever the events say', () => {
    const later = (hours: number) => observation(1, { eventId: 'e0', appendTimeMs: startMs + hours * hourMs })
    for (const minutes of [0, 59]) {
      const first = observation(0, { appendTimeMs: startMs + minutes * 60_000, timeMs: startMs - 20 * dayMs })
      const { state } = batch(null, [first])
      const after = (hours: number) => {
        // The next event of the customer is what makes the state forget.
        const next = batch(state, [observation(1, { appendTimeMs: startMs + hours * hourMs })]).state
        return outcomes(batch(next, [{ ...later(hours), offset: 2 }]).answers)[0]
      }
      expect(after(24)).toBe('duplicate')
      expect(after(25)).toBe('duplicate')
      expect(after(26)).toBe('applied')
    }
  })

  it('I2: is remembered whatever the number of other events in between, up to 131,072', () => {
    const many = batch(null, offsets(0, 3_000)).state
    expect(outcomes(batch(many, [observation(5_000, { eventId: 'e0' })]).answers)).toEqual(['duplicate'])
    const ids = recentIdsOf([])
    for (let i = 0; i <= deduplication.ids; i += 1) rememberEventId(ids, { high: i, low: 7 }, i, startMs)
    expect(recentIdList(ids)).toHaveLength(131_072)
    expect(knowsEventId(ids, { high: 1, low: 7 })).toBe(true)
    expect(knowsEventId(ids, { high: 0, low: 7 }), 'the oldest of 131,073').toBe(false)
  })
})

describe('a late observation', () => {
  const { horizonMs } = customerPlan

  it('counts in the tile of its own time, as long as the state remembers it', () => {
    const { state } = batch(null, [observation(0)])
    const edge = startMs - horizonMs + secondMs
    const { state: after, answers } = batch(state, [observation(1, { timeMs: edge })])
    expect(outcomes(answers)).toEqual(['applied'])
    expect(countOf(after, edge)).toBe(1)
    expect(after.newestTimeMs).toBe(startMs)
  })

  it('beyond the horizon changes nothing but the sequence number', () => {
    const { state } = batch(null, [observation(0)])
    const { state: after, answers } = batch(state, [observation(1, { timeMs: startMs - horizonMs + secondMs - 1 })])
    expect(outcomes(answers)).toEqual(['too_late'])
    expect(after.sequence).toBe(state.sequence + 1)
    expect([plainOf(after), after.newestTimeMs]).toEqual([plainOf(state), state.newestTimeMs])
  })

  it('is forgotten when a newer one moves the horizon', () => {
    const { state } = batch(null, [observation(0)])
    const { state: after } = batch(state, [observation(1, { timeMs: startMs + horizonMs })])
    expect(countOf(after, startMs)).toBe(0)
    expect(plainOf(after).map(({ rows }) => rows.length)).toEqual(tablesOf(after).map(() => 1))
  })
})
