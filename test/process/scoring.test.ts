import { expect, it } from 'vitest'
import { compilePolicy, parsePolicy } from '../../src/scoring/policy.ts'
import { createMemoryEngine } from '../../src/engine/engine.ts'
import { decodeEvent } from '../../src/events/event.ts'
import type { EventIntake } from '../../src/process/intake.ts'
import { createJudge, servicePlan } from '../../src/process/scoring.ts'
import type { Scorer } from '../../src/ports/scorer.ts'
import { applyLogged, loggedEvents } from '../../scripts/bench/engine.ts'
import { compiled, scorer } from './support/wiring.ts'

it('lets the policy of the champion decide, and says who did', async () => {
  const { plan, catalog } = compiled
  const engine = createMemoryEngine(plan)
  const events = [...loggedEvents(40, 1)]
  applyLogged(engine, catalog, events.slice(0, -1))
  const logged = events.at(-1)
  const decoded = logged === undefined ? null : decodeEvent(logged.bytes, catalog, logged.appendTimeMs)
  if (logged === undefined || decoded?.kind !== 'valid') throw new Error('the simulator makes valid events')
  const snapshots = engine.apply(decoded.event, decoded.observedAt, logged, true)
  const data = decoded.event.data as { readonly customerId: string; readonly amountMinor: number }
  const item = { data, observedAtMs: decoded.observedAt } as unknown as EventIntake

  const judged = async (policy: object | null) => {
    const json = { format: 1, version: '7', thresholds: { review: 0, block: 0 }, ...policy }
    const decide = compilePolicy(parsePolicy(json), servicePlan(plan, scorer.service).names)
    const champion: Scorer = policy === null ? scorer : { ...scorer, decider: { version: '7', decide } }
    const judge = createJudge({
      plan,
      lineup: { champion, shadows: [] },
      explain: null,
      onShadowFailed: () => undefined,
    })
    const [verdict] = await judge([{ item, snapshots }])
    if (verdict?.kind !== 'scored') throw new Error('a finite vector has a score')
    return [verdict.scored.decision, verdict.scored.policy]
  }
  const rule = { name: 'any', when: [{ value: 'amount', is: '>', than: 0 }], decision: 'review' }
  expect(await judged({})).toEqual(['block', { version: '7', decidedBy: 'model' }])
  expect(await judged({ rules: [rule] })).toEqual(['review', { version: '7', decidedBy: 'rule:any' }])
  expect(await judged({ rules: [rule], allow: { customers: [data.customerId] } })).toEqual([
    'approve',
    { version: '7', decidedBy: 'allow_list:customer' },
  ])
  expect((await judged(null))[1]).toBeNull()
})
