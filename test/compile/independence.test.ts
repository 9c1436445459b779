import { expect, it } from 'vitest'
import { z } from 'zod'
import { compileManifest } from '../../src/compile/manifest.ts'
import { compilePlan } from '../../src/compile/plan.ts'
import { count } from '../../src/define/aggregate.ts'
import { defineEntity } from '../../src/define/entity.ts'
import { defineEvent } from '../../src/define/event-type.ts'
import { defineService, type FeatureSet } from '../../src/define/feature-set.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { defineSource } from '../../src/define/source.ts'
import { defineView } from '../../src/define/view.ts'
import { createMemoryEngine } from '../../src/engine/memory-engine.ts'
import type { Scorer } from '../../src/ports/scorer.ts'
import { login, logins, user, userLogins, visits } from '../define/support/visits.ts'
import { appliedEvent, decidedBy, decodedEvent } from '../process/support/stages.ts'

const risk = defineService({
  name: 'risk',
  vector: [userLogins.feature('login_count_1d'), userLogins.feature('attempts_sum_1d')],
})
const narrow = defineFeatureSet({ ...visits, entities: [user], views: [userLogins], services: [risk] })

/** The same with an event type, an entity that logins never name, a view of it and one of users, and a service. */
function wider(): FeatureSet {
  const schema = z.object({ userId: z.string(), badgeId: z.string() })
  const opened = defineEvent({
    ...{ type: 'door.opened', aggregateType: 'user', aggregateField: 'userId', timestamp: 'time' },
    ...{ versions: { 1: { schema } }, current: schema },
  })
  const badge = defineEntity({ name: 'badge', keyFields: ['badgeId'] })
  const doors = defineSource({ name: 'door', event: opened, columns: {} })
  const options = { version: 1, windows: ['1d'], hop: '1m' } as const
  const badgeDoors = defineView({ ...options, name: 'badge_doors', entity: badge, aggregates: [count(doors)] })
  const userDoors = defineView({
    ...options,
    name: 'user_doors',
    entity: user,
    aggregates: [count(doors), count(logins)],
  })
  return defineFeatureSet({
    ...{ events: [opened, login], entities: [badge, user], derived: [] },
    views: [badgeDoors, userDoors, userLogins],
    services: [defineService({ name: 'doors', vector: [userDoors.feature('door_count_1d')] }), risk],
  })
}

/** Vectors and values of the service, by feature, of three logins with openings of doors between them. */
async function scoresOf(set: FeatureSet) {
  const plan = compilePlan(set)
  const engine = createMemoryEngine(plan)
  const vectors: number[] = []
  const champion: Scorer = {
    ...{
      name: 'any',
      version: '1',
      service: 'risk',
      thresholds: { review: 0.5, block: 0.9 },
      close: async () => undefined,
    },
    score: (rows, n) => {
      vectors.push(...rows)
      return Promise.resolve(new Float32Array(n))
    },
  }
  const names = plan.services.find(({ name }) => name === 'risk')?.names ?? []
  const values: unknown[] = []
  for (const [offset, type] of ['login.attempted', 'door.opened', 'login.attempted', 'login.attempted'].entries()) {
    if (!plan.events.has(type)) continue
    const timestamp = Date.UTC(2026, 10, 30) + offset * 60_000
    const data = { userId: 'u1', badgeId: 'b1', attempts: offset + 1, networkId: null }
    const event = {
      eventId: `e${offset}`,
      eventType: type,
      timestamp,
      aggregateId: 'u1',
      aggregateType: 'user',
      version: 1,
      data,
    }
    const responses = engine.apply(event, timestamp, { partition: 0, offset, appendTimeMs: timestamp }, true)
    if (type !== login.type) continue
    const applied = appliedEvent(decodedEvent(plan, event, offset), responses)
    const [decided] = await decidedBy(plan, { champion, shadows: [] }, [applied])
    const found = decided?.kind === 'decided' ? decided.values : []
    values.push(risk.vector.map((name) => found[names.indexOf(name)]))
  }
  return { vectors, values }
}

it('a service stays what it is when an event type, an entity, views and a service are added to its set', async () => {
  const serviceOf = (set: FeatureSet) => compileManifest(set).services.find(({ name }) => name === 'risk')
  expect(serviceOf(wider())).toEqual(serviceOf(narrow))
  const scores = await scoresOf(narrow)
  expect(scores.vectors).toEqual([0, 0, 1, 1, 2, 4])
  expect(await scoresOf(wider())).toEqual(scores)
})
