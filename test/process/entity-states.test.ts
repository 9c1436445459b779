import { expect, it } from 'vitest'
import type { Observation } from '../../src/engine/observation.ts'
import type { EntityPlan } from '../../src/engine/plan.ts'
import { EntityStates, type BatchPosition, type StatesAhead } from '../../src/process/entity-states.ts'
import { observe, writesOf, type Touched } from '../../src/process/settle.ts'
import type { StateStore } from '../../src/ports/states.ts'
import { Ledger, memoryVault } from './support/protocol-states.ts'
import { compiled } from './support/wiring.ts'

const terminals = compiled.plan.entities.findIndex((entity) => !entity.partitionKey)
const terminal = compiled.plan.entities[terminals]

/** One payment at terminal t1, at the first offset of partition 0. */
function payment() {
  const binding = compiled.plan.events.get('payment.initiated')?.bindings[terminals] ?? null
  if (binding === null) throw new Error('a payment names a terminal')
  const timeMs = Date.UTC(2026, 2, 1)
  const data = { customerId: 'c1', terminalId: 't1', amountMinor: 100, currency: 'EUR' }
  const times = { timeMs, eventTimeMs: timeMs, appendTimeMs: timeMs }
  return { offset: 0, eventId: 'e1', ...times, data, binding, reads: true, verdict: null }
}

/** One batch that touches one terminal: loads, observes and writes until the store has taken it. */
async function settle(states: EntityStates, entity: EntityPlan, id: string, one: Observation, at: BatchPosition) {
  let touched: readonly Touched[] = [{ entity, index: terminals, id, observations: [one], places: [0], lost: 0 }]
  for (;;) {
    const { settled, lost } = await states.write(observe(await states.load(touched, at), at), at)
    if (lost.length === 0) return settled
    touched = lost
  }
}

it('I1: answers nothing from what it saw before the store lost its tail', async () => {
  if (terminal === undefined) throw new Error('there is an entity that partitions share')
  const ledger = new Ledger(memoryVault())
  const store: StateStore = {
    ...ledger.store,
    get epoch() {
      return ledger.epoch
    },
  }
  await store.advance('events', 0, 0)
  const states = new EntityStates({ store, cacheEntries: 10, cacheBytes: 2 ** 26, roundsMax: 1 })
  const place = { topic: 'events', partition: 0, applied: 0, floorOffset: 0 }
  const settled = async (epoch: number) =>
    writesOf(await settle(states, terminal, 't1', payment(), { ...place, epoch }))
  expect((await settled(1)).written).toBe(1)
  await ledger.lose(1)
  await expect(settled(1)).rejects.toMatchObject({ code: 'state_moved' })
  // Nobody cleared the cache: another partition of this process may have filled it since its own start.
  expect((await settled(2)).written, 'applied again').toBe(1)
})

it('keeps states of as many bytes as it may, and answers the same as with all of them', async () => {
  if (terminal === undefined) throw new Error('there is an entity that partitions share')
  const cacheBytes = 40_000
  const ids = Array.from({ length: 20 }, (_, i) => `t${i}`)
  /** Everything that a cache of so many bytes answers, and the most that it held. */
  const run = async (bytes: number) => {
    const store: StateStore = { ...memoryVault().store, epoch: 1 }
    const states = new EntityStates({ store, cacheEntries: 1_000, cacheBytes: bytes, roundsMax: 1 })
    const answers: unknown[] = []
    let [bytesMost, entriesMost] = [0, 0]
    for (let offset = 0; offset < 800; offset += 1) {
      const id = ids[(offset * 7) % ids.length] ?? ''
      const timeMs = payment().timeMs + offset * 1_000
      const observation = { ...payment(), offset, eventId: `e${offset}`, timeMs, appendTimeMs: timeMs }
      const at = { topic: 'events', partition: 0, applied: -1, floorOffset: offset, epoch: 1 }
      answers.push((await settle(states, terminal, id, observation, at)).map((one) => one.answers))
      bytesMost = Math.max(bytesMost, states.cached.bytes)
      entriesMost = Math.max(entriesMost, states.cached.entries)
    }
    return { answers, bytesMost, entriesMost, left: states.cached.entries }
  }
  const [small, large] = [await run(cacheBytes), await run(2 ** 26)]
  expect(large.bytesMost, 'all of them take more').toBeGreaterThan(2 * cacheBytes)
  expect(small.bytesMost).toBeLessThanOrEqual(cacheBytes)
  expect(small.left, 'fewer fit as they grow').toBeLessThan(small.entriesMost)
  expect(small.answers).toEqual(large.answers)
})

it('states that a batch needs later come with its first command, and are asked for again after a lost write', async () => {
  if (terminal === undefined) throw new Error('there is an entity that partitions share')
  const { store: vault } = memoryVault()
  const asked: string[][] = []
  const store: StateStore = {
    ...vault,
    epoch: 1,
    load(keys) {
      asked.push(keys.map(({ id }) => id))
      return vault.load(keys)
    },
  }
  const at = { topic: 'events', partition: 0, applied: -1, floorOffset: 0, epoch: 1 }
  const open = () => new EntityStates({ store, cacheEntries: 10, cacheBytes: 2 ** 26, roundsMax: 3 })
  const touching = (id: string, eventId: string): Touched => {
    const observation = { ...payment(), eventId }
    return { entity: terminal, index: terminals, id, observations: [observation], places: [0], lost: 0 }
  }
  const states = open()
  const ahead: StatesAhead = new Map()
  const [first, later] = [touching('t1', 'e1'), touching('t2', 'e2')]
  await states.write(observe(await states.load([first], at, ahead, [later]), at), at)
  const loaded = await states.load([later], at, ahead)
  expect(asked, 'one command for both').toEqual([['t1', 't2']])

  const elsewhere = { ...at, partition: 1 }
  await settle(open(), terminal, 't2', { ...payment(), eventId: 'of another processor' }, elsewhere)
  asked.length = 0
  const { lost } = await states.write(observe(loaded, at), at)
  const { settled } = await states.write(observe(await states.load(lost, at, ahead), at), at)
  expect(asked, 'what came ahead is old').toEqual([['t2']])
  expect(settled.map(({ answers }) => answers)).toMatchObject([[{ response: { sequence: sequenceAfter(1) } }]])
})

/** The sequence number that a terminal's next observation takes after so many. */
function sequenceAfter(observations: number): number {
  return payment().appendTimeMs * 1_000 + observations
}
