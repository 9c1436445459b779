import { expect, it } from 'vitest'
import { compilePlan } from '../../src/compile/plan.ts'
import { coalesce } from '../../src/define/expression.ts'
import { defineDerived, defineService } from '../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { deviceLogins, userLogins, visits } from '../define/support/visits.ts'
import { compilePolicy, parsePolicy } from '../../src/scoring/policy.ts'
import { createMemoryEngine } from '../../src/engine/memory-engine.ts'
import { decodeEvent } from '../../src/events/decode-event.ts'
import { servicePlan } from '../../src/scoring/service.ts'
import type { Scorer } from '../../src/ports/scorer.ts'
import { applyLogged, loggedEvents } from '../../scripts/bench/engine.ts'
import { appliedEvent, decidedBy, decodedEvent } from './support/stages.ts'
import { compiled, scorer } from './support/wiring.ts'

it('lets the policy of the champion decide, and says who did', async () => {
  const { plan, catalog } = compiled
  const engine = createMemoryEngine(plan)
  const events = [...loggedEvents(40, 1)]
  applyLogged(engine, catalog, events.slice(0, -1))
  const logged = events.at(-1)
  const decoded = logged === undefined ? null : decodeEvent(logged.bytes, catalog, logged.appendTimeMs)
  if (logged === undefined || decoded?.kind !== 'valid') throw new Error('the simulator makes valid events')
  const responses = engine.apply(decoded.event, decoded.observedAt, logged, true)
  const { customerId } = decoded.event.data
  const applied = appliedEvent(decodedEvent(plan, decoded.event, logged.offset, decoded.observedAt), responses)

  const judged = async (policy: object | null) => {
    const json = { format: 2, version: '7', thresholds: { review: 0, block: 0 }, ...policy }
    const champion: Scorer =
      policy === null
        ? scorer
        : { ...scorer, decider: compilePolicy(parsePolicy(json), servicePlan(plan, scorer.service)) }
    const [decided] = await decidedBy(plan, { champion, shadows: [] }, [applied])
    if (decided?.kind !== 'decided') throw new Error('a finite vector has a score')
    return [decided.decision, decided.policy]
  }
  const rule = { name: 'any', when: [{ value: 'amount', is: '>', than: 0 }], decision: 'review' }
  expect(await judged({})).toEqual(['block', { version: '7', decidedBy: 'model' }])
  expect(await judged({ rules: [rule] })).toEqual(['review', { version: '7', decidedBy: 'rule:any' }])
  expect(await judged({ rules: [rule], allow: { customer: [customerId] } })).toEqual([
    'approve',
    { version: '7', decidedBy: 'allow_list:customer' },
  ])
  expect((await judged(null))[1]).toBeNull()
})

it('scores an event that does not name an entity, with its features missing', async () => {
  const known = defineDerived(
    'known',
    'of the device, 0 where none',
    coalesce(deviceLogins.feature('login_count_1d'), 0),
  )
  const vector = [userLogins.feature('login_count_1d'), known]
  const services = [defineService({ name: 'risk', vector })]
  const plan = compilePlan(defineFeatureSet({ ...visits, derived: [known], services }))
  const engine = createMemoryEngine(plan)
  const timestamp = Date.UTC(2026, 10, 30)
  const rows: unknown[] = []
  const champion: Scorer = {
    ...scorer,
    service: 'risk',
    score: (vectors, count) => {
      rows.push([...vectors])
      return Promise.resolve(new Float32Array(count))
    },
  }
  const judged = async (offset: number, data: Record<string, unknown>) => {
    const names = { eventId: `e${offset}`, eventType: 'login.attempted', aggregateId: 'u1', aggregateType: 'user' }
    const event = { ...names, timestamp, data, version: 1 }
    const place = { partition: 0, offset, appendTimeMs: timestamp }
    const responses = engine.apply(event, timestamp, place, true)
    const applied = appliedEvent(decodedEvent(plan, event, offset), responses)
    const [decided] = await decidedBy(plan, { champion, shadows: [] }, [applied])
    return decided?.kind === 'decided' ? decided.values : decided
  }
  const data = { userId: 'u1', networkId: null, attempts: 2 }
  await judged(0, { ...data, deviceId: 'd1' })
  expect(await judged(1, data)).toEqual([1, 2, null, 1, null, null, 0])
  // The user has logged in once before; of no device is anything known.
  expect(rows).toEqual([
    [0, 0],
    [1, 0],
  ])
})
