import { subjectsMax } from '../../../src/engine/limits.ts'
import { describe, expect, it } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { createMemoryEngine } from '../../../src/engine/memory-engine.ts'
import type { DomainEvent, EventData } from '../../../src/events/event.ts'
import { readFeatures } from '../../../src/engine/observe.ts'
import { decodeState, encodeState } from '../../../src/engine/state-codec/state-blob.ts'
import { dayMs, hourMs } from '../../../src/base/units.ts'

const plan = compilePlan(riverbank)
const paidMs = Date.UTC(2026, 5, 1, 12)
/** The windows of a terminal's risk end a week before the read. */
const readMs = paidMs + 8 * dayMs

interface Told {
  readonly id: string
  readonly type: string
  readonly timeMs: number
  /** When a label was given. */
  readonly givenMs?: number
  readonly data: Readonly<Record<string, unknown>>
}

const payment = (id: string, more: Readonly<Record<string, unknown>> = {}, timeMs = paidMs): Told => ({
  ...{ id, type: 'payment.initiated', timeMs },
  data: { customerId: 'c1', terminalId: 't1', amountMinor: 1_000, currency: 'EUR', ...more },
})

function label(type: string, id: string, paymentId: string, more: Readonly<{ paymentTimeMs?: number }> = {}): Told {
  const { data } = payment(paymentId)
  const kind = type === 'fraud.reported' ? 'chargeback' : 'chargeback_won'
  const own = { paymentId, paymentTimeMs: paidMs, kind, ...more }
  return { id, type, timeMs: own.paymentTimeMs, data: { ...data, ...own } }
}
const given = (hours: number, told: Told): Told => ({ ...told, givenMs: paidMs + hours * hourMs })
const fraud = (id: string, paymentId: string, more = {}) => label('fraud.reported', id, paymentId, more)
const withdrawn = (id: string, paymentId: string) => label('fraud.withdrawn', id, paymentId)

/** What the engine answers to these events, and what the terminal's features are in the end. */
function tell(events: readonly Told[]) {
  const engine = createMemoryEngine(plan)
  const outcomes = events.map(({ id, type, timeMs, givenMs = timeMs, data }, offset) => {
    const event: DomainEvent<EventData> = {
      ...{ eventId: id, eventType: type, timestamp: givenMs, version: 1, data },
      ...{ aggregateId: String(data['customerId']), aggregateType: 'customer' },
    }
    const position = { partition: 0, offset, appendTimeMs: readMs + offset }
    const [owner, terminal] = engine.apply(event, timeMs, position, false)
    return owner?.outcome === terminal?.outcome ? owner?.outcome : [owner?.outcome, terminal?.outcome]
  })
  const featuresAt = (terminalId: string) => {
    const entity = plan.entities[1]
    const found = engine.states[1]?.get(terminalId)
    if (entity?.name !== 'terminal' || found === undefined) throw new Error('the terminal has a state')
    const { features } = readFeatures(entity, decodeState(entity, encodeState(entity, found)), readMs)
    const of = (name: string) => features[entity.features.findIndex((feature) => feature.name === name)]
    return {
      frauds: of('terminal_risk__fraud_count_30d'),
      share: of('terminal_risk__fraud_rate_30d'),
      run: of('terminal_labels__fraud_run_30d'),
      since: of('terminal_labels__fraud_seconds_since_last_30d'),
    }
  }
  return { outcomes, featuresAt }
}

const none = { frauds: 0, share: 0, run: 0, since: null }
const one = { frauds: 1, share: 1, run: 1, since: (readMs - paidMs) / 1_000 }

describe('a payment has one current label', () => {
  it('however often it is reported, under other ids and for other reasons', () => {
    const { outcomes, featuresAt } = tell([
      payment('p1'),
      fraud('f1', 'p1'),
      fraud('f2', 'p1', { kind: 'confirmed_fraud' }),
      fraud('f2', 'p1', { kind: 'confirmed_fraud' }),
    ])
    expect(outcomes).toEqual(['applied', 'applied', 'applied', 'duplicate'])
    expect(featuresAt('t1')).toEqual(one)
  })

  it('and none when it was withdrawn, until it is reported again', () => {
    const reported = [payment('p1'), fraud('f1', 'p1')]
    expect(tell([...reported, withdrawn('w1', 'p1')]).featuresAt('t1')).toEqual(none)
    expect(tell([...reported, withdrawn('w1', 'p1'), fraud('f2', 'p1')]).featuresAt('t1')).toEqual(one)
    expect(tell([payment('p1'), withdrawn('w1', 'p1')]).featuresAt('t1')).toEqual(none)
  })

  it('which is the newest by its own time, in whatever order labels arrive', () => {
    const [early, late] = [given(1, fraud('f1', 'p1')), given(2, withdrawn('w1', 'p1'))]
    expect(tell([payment('p1'), early, late]).featuresAt('t1')).toEqual(none)
    expect(tell([payment('p1'), late, early]).featuresAt('t1')).toEqual(none)
    const again = given(3, fraud('f2', 'p1'))
    expect(tell([payment('p1'), again, late, early]).featuresAt('t1')).toEqual(one)
    expect(tell([payment('p1'), late, again, early]).featuresAt('t1')).toEqual(one)
  })

  it('and of two that were given at one time the one that arrived last', () => {
    const [reported, taken] = [given(1, fraud('f1', 'p1')), given(1, withdrawn('w1', 'p1'))]
    expect(tell([payment('p1'), reported, taken]).featuresAt('t1')).toEqual(none)
    expect(tell([payment('p1'), taken, reported]).featuresAt('t1')).toEqual(one)
  })

  it('and the labels of others in the same second stay', () => {
    const { featuresAt } = tell([
      ...[payment('p1'), payment('p2'), fraud('f1', 'p1'), fraud('f2', 'p2')],
      withdrawn('w1', 'p1'),
    ])
    expect(featuresAt('t1')).toEqual({ ...one, share: 0.5, run: 0 })
  })
})

describe('a label counts nowhere', () => {
  it('when its payment was never made, or comes later; then it may come again under its id', () => {
    const { outcomes, featuresAt } = tell([
      ...[payment('p0'), fraud('f1', 'p1'), payment('p1'), fraud('f1', 'p1'), fraud('f1', 'p1')],
    ])
    expect(outcomes).toEqual(['applied', 'unknown_subject', 'applied', 'applied', 'duplicate'])
    expect(featuresAt('t1')).toMatchObject({ frauds: 1, share: 0.5 })
  })

  it.each([
    ['terminal', { terminalId: 't2' }],
    ['amount', { amountMinor: 999 }],
    ['currency', { currency: 'USD' }],
    ['time', { paymentTimeMs: paidMs + 1 }],
  ])('when it says another %s than its payment', (_what, wrong) => {
    const { outcomes, featuresAt } = tell([payment('p1'), fraud('f1', 'p1', wrong)])
    expect(outcomes).toEqual(['applied', 'contradicts_subject'])
    expect(featuresAt('t1')).toEqual(none)
  })

  it('in the place of no label of another customer, who may use the same payment id at the same terminal', () => {
    const other = { customerId: 'c2' }
    const both = [payment('p1'), payment('p1', other), fraud('f1', 'p1'), fraud('f1', 'p1', other)]
    expect(tell(both).featuresAt('t1')).toEqual({ ...one, frauds: 2, run: 2 })
    expect(tell([...both, withdrawn('w1', 'p1')]).featuresAt('t1')).toMatchObject({ frauds: 1, share: 0.5 })
  })

  it('when it names the payment of another customer', () => {
    const { outcomes } = tell([payment('p1', { customerId: 'c2' }), payment('p2'), fraud('f1', 'p1')])
    expect(outcomes).toEqual(['applied', 'applied', 'unknown_subject'])
  })

  it('when its payment is older than labels reach, counted from the newest payment', () => {
    const hours = plan.entities[0]?.labelHours ?? 0
    const later = (ms: number) => payment('p2', { terminalId: 't2' }, paidMs + ms)
    expect(hours).toBe(38 * 24)
    const outcomesAfter = (ms: number) => tell([payment('p1'), later(ms), fraud('f1', 'p1')]).outcomes[2]
    expect(outcomesAfter((hours - 1) * hourMs)).toBe('applied')
    expect(outcomesAfter(hours * hourMs)).toBe('unknown_subject')
  })

  it(`when ${subjectsMax} payments came after its own`, () => {
    const others = (count: number) => Array.from({ length: count }, (_, i) => payment(`o${i}`))
    const outcomeAfter = (count: number) => tell([payment('p1'), ...others(count), fraud('f1', 'p1')]).outcomes.at(-1)
    expect(outcomeAfter(subjectsMax - 1)).toBe('applied')
    expect(outcomeAfter(subjectsMax)).toBe('unknown_subject')
  })
})
