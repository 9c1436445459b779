import { expect, it } from 'vitest'
import { EntityStates } from '../../src/process/entity-states.ts'
import type { StateStore } from '../../src/ports/states.ts'
import { Ledger, memoryVault } from './support/protocol-states.ts'
import { compiled } from './support/wiring.ts'

const terminals = compiled.plan.entities.findIndex((entity) => !entity.partitionKey)
const terminal = compiled.plan.entities[terminals]

/** One payment at terminal t1, at the first offset of partition 0. */
function payment() {
  const touch = compiled.plan.events.get('payment.initiated')?.touches[terminals] ?? null
  if (touch === null) throw new Error('a payment names a terminal')
  const timeMs = Date.UTC(2026, 2, 1)
  const data = { customerId: 'c1', terminalId: 't1', amountMinor: 100, currency: 'EUR' }
  const times = { timeMs, eventTimeMs: timeMs, appendTimeMs: timeMs }
  return { offset: 0, eventId: 'e1', ...times, data, touch, reads: true, verdict: null }
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
  const settle = (epoch: number) => states.settle(terminal, new Map([['t1', [payment()]]]), { ...place, epoch })
  expect((await settle(1)).written).toBe(1)
  await ledger.lose(1)
  await expect(settle(1)).rejects.toMatchObject({ code: 'state_moved' })
  // Nobody cleared the cache: another partition of this process may have filled it since its own start.
  expect((await settle(2)).written, 'applied again').toBe(1)
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
      answers.push((await states.settle(terminal, new Map([[id, [observation]]]), at)).answers.get(id))
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
