import { expect, it } from 'vitest'
import { compilePlan } from '../../src/compile/plan.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { createMemoryEngine } from '../../src/engine/memory-engine.ts'
import { profileChanged, userProfile, visits } from '../define/support/visits.ts'

const nowMs = Date.UTC(2026, 10, 30)

function engineOfVisits() {
  const engine = createMemoryEngine(compilePlan(defineFeatureSet(visits)))
  let offset = 0
  const login = (data: object) => {
    const event = {
      ...{ eventId: `e${offset}`, eventType: 'login.attempted', timestamp: nowMs },
      ...{ aggregateId: 'u1', aggregateType: 'user', version: 1, data: { userId: 'u1', attempts: 1, ...data } },
    }
    const timeMs = nowMs + offset * 60_000
    const position = { partition: 0, offset, appendTimeMs: timeMs }
    offset += 1
    return engine.apply(event, timeMs, position, true).map((response) => response?.features ?? null)
  }
  return { engine, login }
}

it('an event updates the entities that it names, a composite one only where it names all parts', () => {
  const { engine, login } = engineOfVisits()
  login({ deviceId: 'd1', networkId: 'n1' })
  login({ networkId: 'n1' })
  login({ deviceId: 'd1', networkId: null })
  const answers = login({ deviceId: 'd1', networkId: 'n1' })
  expect(answers.map((features) => features?.[0])).toEqual([3, 2, 1])
  expect(engine.states.map((states) => [...states.keys()])).toEqual([['u1'], ['d1'], ['d1|n1']])
  expect(login({})).toEqual([expect.any(Array), null, null])
})

it('an observation without the value of a column adds nothing to the aggregates of that column', () => {
  const { login } = engineOfVisits()
  login({ deviceId: 'd1', networkId: null, seconds: 4 })
  login({ networkId: null })
  login({ deviceId: 'd2', networkId: null, seconds: 6 })
  const [features] = login({ networkId: null })
  // Logins, attempts, seconds on average, devices.
  expect(features).toEqual([3, 3, 5, 2])
})

it('the newest value of a state event is a feature: a number, a text or a boolean as a category, whatever was left out', () => {
  const set = defineFeatureSet({
    ...visits,
    events: [...visits.events, profileChanged],
    views: [...visits.views, userProfile],
  })
  const [first] = compilePlan(set).entities
  const engine = createMemoryEngine(compilePlan(set))
  let offset = 0
  const tell = (eventType: string, data: object) => {
    const timestamp = nowMs + offset * 60_000
    const event = { eventId: `e${offset}`, eventType, timestamp, aggregateId: 'u1', aggregateType: 'user', version: 1 }
    const position = { partition: 0, offset, appendTimeMs: timestamp }
    offset += 1
    const [user] = engine.apply({ ...event, data: { userId: 'u1', ...data } }, timestamp, position, true)
    const values = first?.features.map(({ name }, i) => [name, user?.features?.[i]] as const) ?? []
    return Object.fromEntries(values.filter(([name]) => name.startsWith('user_profile')))
  }
  const named = (quota: number | null, plan: number | null, verified: number | null) => ({
    user_profile__quota_last_lifetime: quota,
    user_profile__plan_last_lifetime: plan,
    user_profile__verified_last_lifetime: verified,
  })
  expect(tell('user.profile_changed', { plan: 'free', isVerified: false, quota: 10 })).toEqual(named(null, null, null))
  expect(tell('user.profile_changed', { plan: 'team', isVerified: true })).toEqual(named(10, 0, 0))
  expect(tell('user.profile_changed', { plan: 'unheard of', isVerified: false })).toEqual(named(10, 1, 1))
  // What no category knows changes nothing, and neither does what is left out.
  expect(tell('login.attempted', { networkId: null, attempts: 1 })).toEqual(named(10, 1, 0))
})
