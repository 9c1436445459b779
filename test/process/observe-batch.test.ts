import { expect, it } from 'vitest'
import { compilePlan } from '../../src/compile/plan.ts'
import { defineFeatureSet } from '../../src/define/feature-set.ts'
import { EntityStates } from '../../src/process/entity-states.ts'
import type { EventIntake } from '../../src/process/intake.ts'
import { observeBatch } from '../../src/process/observe-batch.ts'
import type { StateStore } from '../../src/ports/states.ts'
import { visits } from '../define/support/visits.ts'
import { memoryVault } from './support/protocol-states.ts'

it('a batch writes states of the entities that its events name, and no others', async () => {
  const plan = compilePlan(defineFeatureSet(visits))
  const store: StateStore = { ...memoryVault().store, epoch: 1 }
  const states = new EntityStates({ store, cacheEntries: 10, cacheBytes: 2 ** 26, roundsMax: 1 })
  const timestamp = Date.UTC(2026, 10, 30)
  const itemOf = (data: Readonly<Record<string, unknown>>, offset: number) => {
    const record = { topic: 'events', partition: 0, offset, appendTimeMs: timestamp }
    const event = { eventId: `e${offset}`, eventType: 'login.attempted', timestamp }
    const own = { record, event, data, observedAtMs: timestamp, plan: plan.events.get('login.attempted') }
    return { kind: 'event', scored: true, ...own } as unknown as EventIntake
  }
  const login = { userId: 'u1', attempts: 1, networkId: null }
  const items = [login, { ...login, deviceId: 'd1' }, { ...login, deviceId: 'd1', networkId: 'n1' }].map(itemOf)
  const at = { topic: 'events', partition: 0, applied: -1, floorOffset: 0, epoch: 1 }
  const { effects, written } = await observeBatch(states, plan, items, at)
  const touched = effects.map((effect) =>
    effect.kind === 'applied' ? effect.snapshots.map((snapshot) => snapshot?.sequence !== undefined) : effect.kind,
  )
  expect(touched).toEqual([
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ])
  expect(written).toBe(3)
  const keys = ['u1', 'd1', 'd1|n1', 'undefined'].flatMap((id) =>
    plan.entities.map(({ name }) => ({ entity: name, id })),
  )
  const found = (await store.load(keys)).flatMap((blob, i) => (blob === null ? [] : [keys[i]]))
  expect(found).toEqual([
    { entity: 'user', id: 'u1' },
    { entity: 'device', id: 'd1' },
    { entity: 'device_on_network', id: 'd1|n1' },
  ])
})
