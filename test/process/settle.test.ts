import { expect, it } from 'vitest'
import { compilePlan } from '../../src/compile/plan.ts'
import { defineFeatureSet } from '../../src/define/define-feature-set.ts'
import { EntityStates } from '../../src/process/entity-states.ts'
import {
  answer,
  groupByEntity,
  judged,
  observe,
  settlingOrder,
  writesOf,
  type Answering,
} from '../../src/process/settle.ts'
import type { StateStore } from '../../src/ports/states.ts'
import { visits } from '../define/support/visits.ts'
import { memoryVault } from './support/protocol-states.ts'
import { decodedEvent } from './support/stages.ts'

it('a batch writes states of the entities that its events name, and no others', async () => {
  const plan = compilePlan(defineFeatureSet(visits))
  const store: StateStore = { ...memoryVault().store, epoch: 1 }
  const states = new EntityStates({ store, cacheEntries: 10, cacheBytes: 2 ** 26, roundsMax: 1 })
  const timestamp = Date.UTC(2026, 10, 30)
  const eventOf = (data: Readonly<Record<string, unknown>>, offset: number) => {
    const names = { eventId: `e${offset}`, eventType: 'login.attempted', aggregateId: 'u1', aggregateType: 'user' }
    return decodedEvent(plan, { ...names, timestamp, data, version: 1 }, offset)
  }
  const login = { userId: 'u1', attempts: 1, networkId: null }
  const decoded = [login, { ...login, deviceId: 'd1' }, { ...login, deviceId: 'd1', networkId: 'n1' }].map(eventOf)
  const at = { topic: 'events', partition: 0, applied: -1, floorOffset: 0, epoch: 1 }
  const settled: Answering[] = []
  for (const entities of settlingOrder(plan)) {
    const loaded = await states.load(judged(groupByEntity(plan, entities, decoded), decoded, settled), at)
    settled.push(...(await states.write(observe(loaded, at), at)).settled)
  }
  const touched = answer(plan, decoded, settled).map((one) =>
    one.kind === 'applied' ? one.responses.map((response) => response?.sequence !== undefined) : one.kind,
  )
  expect(touched).toEqual([
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ])
  expect(writesOf(settled).written).toBe(3)
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
