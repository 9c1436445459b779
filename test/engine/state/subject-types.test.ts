import { describe, expect, it } from 'vitest'
import { observe } from '../../../src/engine/observe.ts'
import type { Observation } from '../../../src/engine/observation.ts'
import type { EntityState, Outcome } from '../../../src/engine/state/state.ts'
import { plan } from '../../lake/support/resets.ts'

/* Logins and resets are both scored, both have labels, and both kinds of labels name their subject in the field `login`. */

const [owner] = plan.entities
if (owner === undefined) throw new Error('the partition-key entity comes first')
const touchOf = (type: string) => {
  const binding = plan.events.get(type)?.bindings[0] ?? null
  if (binding === null) throw new Error(`${type} names its account`)
  return binding
}
const startMs = Date.UTC(2026, 5, 1)
const who = { accountId: 'a1', deviceId: 'd1' }
type Told = Pick<Observation, 'eventId' | 'binding' | 'data'> & Partial<Observation>

const login = (eventId: string): Told => ({
  ...{ eventId, binding: touchOf('login.attempted') },
  data: { ...who, succeeded: true, delayMs: null },
})
const reset = (eventId: string): Told => ({
  ...{ eventId, binding: touchOf('password.reset_requested') },
  data: { ...who, via: 'sms', afterMs: null },
})
const takeover = (eventId: string, of: string): Told => ({
  ...{ eventId, binding: touchOf('takeover.reported'), record: () => eventId },
  data: { ...who, login: of, worked: true, loginTimeMs: startMs, channel: 'mail' },
})
const dispute = (eventId: string, of: string): Told => ({
  ...{ eventId, binding: touchOf('reset.disputed'), record: () => eventId },
  data: { ...who, login: of, resetTimeMs: startMs },
})

/** Tells the events to one account, all at one time; answers what became of each, and which labels it released. */
function told(events: readonly Told[]): { readonly outcome: Outcome; readonly released: readonly string[] }[] {
  let state: EntityState | null = null
  return events.map((event, offset) => {
    const times = { appendTimeMs: startMs + offset, timeMs: startMs, eventTimeMs: startMs + offset }
    const observation = { offset, ...times, reads: false, verdict: null, ...event }
    const observed = observe(owner!, state, [observation], 0, offset)
    state = observed.state
    const [answer] = observed.answers
    if (answer?.kind !== 'response') throw new Error('nothing was told before')
    return answer.response
  })
}

describe('a label of one of two scored types', () => {
  it('counts for the event of its type, and is unknown where only the other type has the id', () => {
    const outcomes = told([
      login('e1'),
      dispute('d1', 'e1'),
      takeover('t1', 'e1'),
      reset('e2'),
      takeover('t2', 'e2'),
      dispute('d2', 'e2'),
    ])
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      ...['applied', 'unknown_subject', 'applied', 'applied', 'unknown_subject', 'applied'],
    ])
  })

  it('waits for the event of its type, and is not released by one of the other with the id', () => {
    expect(told([dispute('d1', 'e1'), login('e1')]).at(-1)?.released).toEqual([])
    expect(told([dispute('d1', 'e1'), reset('e1')]).at(-1)?.released).toEqual(['d1'])
    expect(told([takeover('t1', 'e1'), dispute('d1', 'e1'), login('e1')]).at(-1)?.released).toEqual(['t1'])
  })
})
