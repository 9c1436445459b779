import { expect, it } from 'vitest'
import { RiverbankError } from '../../src/base/errors.ts'
import type { PartitionAssignment, LogBatch, LogRecord, OutgoingRecord } from '../../src/ports/log.ts'
import type { StateStore } from '../../src/ports/states.ts'
import { EntityStates } from '../../src/process/entity-states.ts'
import { memoryVault } from './support/protocol-states.ts'
import { traffic } from './support/traffic.ts'
import { clock, wire } from './support/wiring.ts'

const topic = 'events'
const count = 64

const late = (what: string) =>
  new RiverbankError('state_unavailable', `${what}: Command timed out`, { canRetry: true, timedOut: true })

/** One batch of payments. */
function backlog(): LogBatch {
  const sent = traffic({ topic, seed: 7, events: 400, customers: 8, terminals: 4 })
  const payments = sent.filter(({ kind }) => kind === 'payment').slice(0, count)
  const records = payments.map(({ record }, offset): LogRecord => {
    const value = typeof record.value === 'string' ? new TextEncoder().encode(record.value) : record.value
    return { topic, partition: 0, offset, appendTimeMs: Date.UTC(2026, 3, 1), key: record.key, value, headers: {} }
  })
  return { topic, partition: 0, records, next: count, end: count }
}

/** A processor whose store writes at most so many states in time, and whose log takes a commit only sometimes. */
async function processed({ writesMax, commitFails }: { writesMax: number; commitFails: (nth: number) => boolean }) {
  const { store: vault } = memoryVault()
  const store: StateStore = {
    ...vault,
    epoch: 1,
    compareAndSet: async (writes) => {
      // As a slow server does: it writes all the same, and nobody hears of it.
      const won = await vault.compareAndSet(writes)
      if (writes.length > writesMax) throw late('writing states')
      return won
    },
  }
  const published: OutgoingRecord[] = []
  const sizes: number[] = []
  const commits: number[] = []
  let commitTries = 0
  const range = { partition: 0, start: 0, end: count }
  const { processor } = wire({
    store,
    states: new EntityStates({ store, cacheEntries: 100, cacheBytes: 1_000_000, roundsMax: 10 }),
    publish: async (records) => {
      published.push(...records)
      return records.map(() => ({ partition: 0, offset: 0 }))
    },
    committed: () => Promise.resolve(commits.at(-1) ?? null),
    range: () => Promise.resolve(range),
    topics: { scores: 'scores', deadLetters: 'dead-letters' },
    clock,
    counts: { conflicts: 0, rewinds: 0, batches: 0 },
    metrics: { batchSize: (records) => void sizes.push(records) },
  })
  const assignment: PartitionAssignment = {
    topic,
    partition: 0,
    committed: null,
    range,
    signal: new AbortController().signal,
    commit: async (next) => {
      commitTries += 1
      if (commitFails(commitTries)) throw late('committing')
      commits.push(next)
    },
  }
  await processor.assigned(assignment)
  const next = await processor.batch(assignment, backlog())
  return { next, published, sizes, commits }
}

it('I2: handles a batch in smaller parts when it times out, each once, and commits after each', async () => {
  const { next, published, sizes, commits } = await processed({ writesMax: 3, commitFails: () => false })
  expect(next).toBe(count)
  expect(published).toHaveLength(count)
  expect(Math.min(...sizes)).toBeLessThanOrEqual(4)
  expect(commits.length).toBeGreaterThan(count / 64)
  expect(commits).toEqual(commits.toSorted((a, b) => a - b))
  expect(commits.at(-1)).toBe(count)
})

it('R7: publishes nothing again when only the commit failed', async () => {
  const { next, published, commits } = await processed({ writesMax: count, commitFails: (nth) => nth <= 5 })
  expect(next).toBe(count)
  expect(published).toHaveLength(count)
  expect(commits.at(-1)).toBe(count)
})
