import { describe, expect, it } from 'vitest'
import type { PartitionAssignment, PartitionRange } from '../../src/ports/log.ts'
import type { StateStore } from '../../src/ports/states.ts'
import { EntityStates } from '../../src/process/entity-states.ts'
import { memoryVault } from './support/protocol-states.ts'
import { clock, wire } from './support/wiring.ts'
import { eventually } from '../support/wait.ts'

const topic = 'events'

/** The first offset read by a claim that saw the log end at `endThen`, while the states know `applied`. */
async function assigned(endThen: number, applied: number, endNow: number): Promise<number> {
  const { store: vault } = memoryVault()
  const store: StateStore = { ...vault, epoch: 1 }
  await store.advance(topic, 0, applied)
  const range = (end: number): PartitionRange => ({ partition: 0, start: 0, end })
  const { processor } = wire({
    store,
    states: new EntityStates({ store, cacheEntries: 0, cacheBytes: 2 ** 26, roundsMax: 1 }),
    publish: () => Promise.reject(new Error('nothing is published')),
    committed: () => Promise.resolve(0),
    range: () => Promise.resolve(range(endNow)),
    topics: { scores: 'scores', deadLetters: 'dead-letters' },
    clock,
    counts: { conflicts: 0, rewinds: 0, batches: 0 },
  })
  const assignment: PartitionAssignment = {
    topic,
    partition: 0,
    committed: 0,
    range: range(endThen),
    signal: new AbortController().signal,
    commit: () => Promise.reject(new Error('nothing is committed')),
  }
  return processor.assigned(assignment)
}

it('does not call a log recreated that has grown since the assignment', async () => {
  // A member that was frozen between its claim and this call: another one owned the partition meanwhile.
  expect(await assigned(1, 2, 2)).toBe(0)
})

it('stops at a log that ends below what was applied', async () => {
  await expect(assigned(1, 2, 1)).rejects.toMatchObject({ code: 'log_recreated' })
})

describe('the assignment of a committed partition, in an empty store', () => {
  const committed = 7
  const range: PartitionRange = { partition: 0, start: 0, end: 9 }

  function claimed(signal: AbortSignal) {
    const { store: vault } = memoryVault()
    const store: StateStore = { ...vault, epoch: 1 }
    let waits = 0
    const { processor } = wire({
      store,
      states: new EntityStates({ store, cacheEntries: 0, cacheBytes: 1_000_000, roundsMax: 1 }),
      publish: () => Promise.reject(new Error('nothing is published')),
      committed: () => Promise.resolve(committed),
      range: () => Promise.resolve(range),
      topics: { scores: 'scores', deadLetters: 'dead-letters' },
      clock: {
        ...clock,
        sleep: (ms, until) => {
          waits += 1
          return clock.sleep(ms, until)
        },
      },
      counts: { conflicts: 0, rewinds: 0, batches: 0 },
      guard: { require: () => Promise.resolve(), isRefused: () => false, waitMs: 1 },
    })
    const commit = () => Promise.reject(new Error('nothing is committed'))
    const start = processor.assigned({ topic, partition: 0, committed, range, signal, commit })
    return { store, start, waits: () => waits }
  }

  it('R7: waits instead of applying the log again, and goes on where the rebuild says', async () => {
    const { store, start, waits } = claimed(new AbortController().signal)
    await eventually(() => waits() > 3, { deadlineMs: 20_000, what: 'the claim waits' })
    expect((await store.positions(topic)).size, 'no place is held in lost states').toBe(0)
    await store.advance(topic, 0, committed)
    expect(await start).toBe(committed)
  })

  it('stops waiting when the assignment ends', async () => {
    const ending = new AbortController()
    const { start, waits } = claimed(ending.signal)
    await eventually(() => waits() > 0, { deadlineMs: 20_000, what: 'the claim waits' })
    ending.abort()
    await expect(start).rejects.toMatchObject({ code: 'fenced' })
  })
})
