import { describe, expect, it } from 'vitest'
import { observe } from '../../../src/engine/observe.ts'
import type { Observation } from '../../../src/engine/observation.ts'
import { decodeState, encodeState } from '../../../src/engine/state-codec/state-blob.ts'
import type { EntityState } from '../../../src/engine/state/state.ts'
import { dayMs } from '../../../src/base/units.ts'
import { waitingMax } from '../../../src/engine/state/waiting-labels.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { riverbank } from '../../../features/index.ts'

const plan = compilePlan(riverbank)
const owner = (() => {
  const [first] = plan.entities
  if (first === undefined) throw new Error('the partition-key entity comes first')
  return first
})()
const touchOf = (type: string) => {
  const binding = plan.events.get(type)?.bindings[0] ?? null
  if (binding === null) throw new Error(`${type} names its customer`)
  return binding
}
const spent = { customerId: 'c1', terminalId: 't1', amountMinor: 1_000, currency: 'EUR' }
const startMs = Date.UTC(2026, 5, 1)

/**
 * Tells the events to one customer, each in a batch of its own, its state through bytes; answers what each released.
 */
function released(events: readonly Partial<Observation>[]): (readonly string[])[] {
  let state: EntityState | null = null
  return events.map((event, offset) => {
    const times = { appendTimeMs: startMs + offset, timeMs: startMs, eventTimeMs: startMs + offset }
    const rest = { data: spent, binding: touchOf('payment.initiated'), reads: false, verdict: null }
    const observed = observe(owner, state, [{ offset, eventId: `e${offset}`, ...times, ...rest, ...event }], 0, offset)
    state = observed.state === null ? null : decodeState(owner, encodeState(owner, observed.state))
    const stored = state?.partitions[0]?.responses.at(-1)
    return stored?.released ?? []
  })
}

const paid = (eventId: string, more: Partial<Observation> = {}) => ({ eventId, ...more })
const report = (eventId: string, paymentId: string, record: string | null, more: Partial<Observation> = {}) => ({
  eventId,
  binding: touchOf('fraud.reported'),
  data: { ...spent, paymentId, paymentTimeMs: startMs, kind: 'chargeback' },
  record: () => record,
  ...more,
})

describe('labels that wait for their payment', () => {
  it('are released by it, in the order in which they came, and by no other', () => {
    const events = [report('f1', 'p1', 'first'), report('f2', 'p2', 'other'), report('f3', 'p1', 'second')]
    expect(released([...events, paid('p3'), paid('p1'), paid('p1'), paid('p2')]).slice(3)).toEqual([
      [],
      ['first', 'second'],
      [],
      ['other'],
    ])
  })

  it('wait once under their id, as they were sent last', () => {
    const events = [report('f1', 'p1', 'sent'), report('f1', 'p1', 'corrected'), paid('p1')]
    expect(released(events).at(-1)).toEqual(['corrected'])
  })

  it(`are the last ${waitingMax} of a customer`, () => {
    const events = Array.from({ length: waitingMax + 2 }, (_, i) => report(`f${i}`, 'p1', `${i}`))
    expect(released([...events, paid('p1')]).at(-1)).toEqual(events.map((_, i) => `${i}`).slice(2))
  })

  it('wait as long as labels reach back, counted by the next that joins them', () => {
    const hours = owner.labelHours
    const joined = (later: number) =>
      released([
        report('f1', 'p1', 'early'),
        report('f2', 'p2', 'later', { appendTimeMs: startMs + later }),
        paid('p1', { appendTimeMs: startMs + later }),
      ]).at(-1)
    expect(hours).toBe(38 * 24)
    expect(joined(38 * dayMs - 1)).toEqual(['early'])
    expect(joined(38 * dayMs)).toEqual([])
  })

  it('do not wait when their record is too long, or nobody wrote it down', () => {
    const { record: _record, ...unwritten } = report('f2', 'p1', '')
    expect(released([report('f1', 'p1', null), unwritten, paid('p1')]).at(-1)).toEqual([])
  })
})
