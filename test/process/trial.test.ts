import { describe, expect, it } from 'vitest'
import { deadLetterSchema, type DeadLetter } from '../../src/scoring/output-events.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import type { PartitionAssignment, LogBatch, LogRecord, OutgoingRecord } from '../../src/ports/log.ts'
import type { Scorer } from '../../src/ports/scorer.ts'
import type { StateStore } from '../../src/ports/states.ts'
import { EntityStates } from '../../src/process/entity-states.ts'
import type { Pipeline } from '../../src/process/pipeline.ts'
import { fixedModels } from '../../src/process/models/serving.ts'
import { heardAfter } from '../support/busy-loop.ts'
import { memoryVault } from './support/protocol-states.ts'
import { traffic } from './support/traffic.ts'
import { clock, scorer, wire } from './support/wiring.ts'

const topic = 'events'
const count = 24
/** Of the record whose handling the planted bug breaks. */
const poisoned = 13

/** The customer of the poisoned record, and of no other. */
const loner = 'loner'

const payments = traffic({ topic, seed: 11, events: 400, customers: 8, terminals: 4 })
  .filter(({ kind }) => kind === 'payment')
  .slice(0, count)
  .map(({ record }, offset): LogRecord => {
    const text = typeof record.value === 'string' ? record.value : new TextDecoder().decode(record.value)
    const own = offset === poisoned ? text.replaceAll(`"${record.key}"`, `"${loner}"`) : text
    const value = new TextEncoder().encode(own)
    return { topic, partition: 0, offset, appendTimeMs: Date.UTC(2026, 3, 1), key: record.key, value, headers: {} }
  })

type Step = 'score' | 'load' | 'everything' | 'nothing'
type Harm = () => Promise<never>

/** What outlives a process: states, log and commits. */
function installation(step: Step, harm: Harm) {
  const { store: vault } = memoryVault()
  const published: OutgoingRecord[] = []
  const commits: number[] = []
  let together = 0
  const spoil =
    (pipeline: Pipeline): Pipeline =>
    async (batch, run) => {
      const isPoisoned = batch.records.some(({ offset }) => offset === poisoned)
      if (batch.records.length > 1) together += 1
      if (step === 'everything' && isPoisoned && run.blame?.leaveOut !== 'everything') await harm()
      return pipeline(batch, run)
    }
  /** Payments have different vectors: only one of them is this one. */
  const vectors: string[] = []
  const spoiled: Scorer = {
    ...scorer,
    async score(given, rows) {
      const width = given.length / rows
      for (let row = 0; row < rows; row += 1) {
        if (step === 'score' && (await isPoison(vectors, given.slice(row * width, (row + 1) * width)))) await harm()
      }
      return scorer.score(given, rows)
    },
  }

  /** One process: from its claim on until all is handled, it fails, or it dies. */
  async function run(batchOf: (from: number) => LogBatch = restFrom): Promise<void> {
    const load: StateStore['load'] = async (keys) => {
      if (step === 'load' && keys.some(({ entity, id }) => entity === 'customer' && id === loner)) await harm()
      return vault.load(keys)
    }
    const store: StateStore = { ...vault, epoch: 1, load }
    const range = { partition: 0, start: 0, end: count }
    const { processor } = wire({
      store,
      states: new EntityStates({ store, cacheEntries: 100, cacheBytes: 1_000_000, roundsMax: 10 }),
      publish: (records) => {
        published.push(...records)
        return Promise.resolve(records.map(() => ({ partition: 0, offset: 0 })))
      },
      committed: () => Promise.resolve(commits.at(-1) ?? null),
      range: () => Promise.resolve(range),
      topics: { scores: 'scores', deadLetters: 'dead-letters' },
      clock,
      counts: { conflicts: 0, rewinds: 0, batches: 0 },
      models: fixedModels(spoiled),
      alter: spoil,
      trials: true,
      stallMs: 100,
    })
    const assignment: PartitionAssignment = {
      ...{ topic, partition: 0, committed: commits.at(-1) ?? null, range, signal: new AbortController().signal },
      commit: (next) => Promise.resolve(void commits.push(next)),
    }
    for (let next = await processor.assigned(assignment); next < count;)
      next = await processor.batch(assignment, batchOf(next))
    await processor.released?.(assignment)
  }

  /** The vector of the poisoned payment, as a run without a bug makes it. */
  const isPoison = async (known: string[], vector: Float32Array): Promise<boolean> => {
    if (known.length === 0) known.push(...(await poisonVector()))
    return known.includes(vector.join())
  }
  return { run, published, commits, vault, together: () => together }
}

function restFrom(from: number): LogBatch {
  return { topic, partition: 0, records: payments.slice(from), next: count, end: count }
}

let poisonVectors: string[] | null = null

async function poisonVector(): Promise<string[]> {
  if (poisonVectors !== null) return poisonVectors
  poisonVectors = ['none']
  const seen: string[] = []
  const { store: vault } = memoryVault()
  const store: StateStore = { ...vault, epoch: 1 }
  const watching: Scorer = {
    ...scorer,
    score(vectors, rows) {
      const width = vectors.length / rows
      for (let row = 0; row < rows; row += 1) seen.push(vectors.slice(row * width, (row + 1) * width).join())
      return scorer.score(vectors, rows)
    },
  }
  const { pipeline } = wire({
    store,
    states: new EntityStates({ store, cacheEntries: 0, cacheBytes: 1_000_000, roundsMax: 10 }),
    publish: (records) => Promise.resolve(records.map(() => ({ partition: 0, offset: 0 }))),
    committed: () => Promise.resolve(null),
    range: () => Promise.resolve(null),
    topics: { scores: 'scores', deadLetters: 'dead-letters' },
    clock,
    counts: { conflicts: 0, rewinds: 0, batches: 0 },
    models: fixedModels(watching),
  })
  await store.advance(topic, 0, 0)
  const signal = new AbortController().signal
  await pipeline(restFrom(0), { publishFrom: 0, epoch: 1, applied: 0, isDivisible: false, clock, signal })
  poisonVectors = [seen[poisoned] ?? 'none']
  return poisonVectors
}

function lettersOf(published: readonly OutgoingRecord[]): DeadLetter[] {
  const letters = published.filter((record) => record.topic === 'dead-letters')
  return letters.map(({ value }) => deadLetterSchema.parse((JSON.parse(String(value)) as { data: unknown }).data))
}

function typesOf(published: readonly OutgoingRecord[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { value } of published) {
    const { type } = JSON.parse(Buffer.from(value).toString()) as { type: string }
    counts[type] = (counts[type] ?? 0) + 1
  }
  return counts
}

const bug: Harm = () => Promise.reject(new TypeError('Cannot read properties of undefined'))

describe('I6: a bug that throws at one record', () => {
  it.each([
    ['score', 'scoring_failed', { 'payment.scored': count - 1, 'event.observed': 1, 'event.dead_lettered': 1 }],
    ['everything', 'processing_failed', { 'payment.scored': count - 1, 'event.dead_lettered': 1 }],
  ] as const)('at its %s, costs that record alone, with its bytes', async (step, code, types) => {
    const { run, published, commits } = installation(step, bug)
    await run()
    expect(commits.at(-1)).toBe(count)
    const letters = lettersOf(published)
    expect(letters.map((letter) => [letter.code, letter.position.offset])).toEqual([[code, poisoned]])
    expect(letters[0]?.value).toBe(Buffer.from(payments[poisoned]?.value ?? []).toString('base64'))
    expect(letters[0]?.detail).toContain('Cannot read properties')
    expect(typesOf(published)).toEqual(types)
  })
})

describe('I6: a record that kills the process', () => {
  /** Runs processes one after the other until one has handled all; answers how many died. */
  async function deaths(step: Step): Promise<ReturnType<typeof installation> & { died: number }> {
    let die: () => void = () => undefined
    const made = installation(step, () => {
      die()
      // Nothing of a dead process ever goes on.
      return new Promise<never>(() => undefined)
    })
    for (let died = 0; ; died += 1) {
      expect(died).toBeLessThan(10)
      const dead = new Promise<'dead'>((resolve) => (die = () => resolve('dead')))
      if ((await Promise.race([made.run(), dead])) !== 'dead') return { ...made, died }
    }
  }

  it.each([
    ['score', 4, { 'payment.scored': count - 1, 'event.observed': 1, 'event.dead_lettered': 1 }],
    ['everything', 5, { 'payment.scored': count - 1, 'event.dead_lettered': 1 }],
  ] as const)(
    'at its %s, ends as a dead letter after %i deaths, and every other one is scored',
    async (step, most, types) => {
      const { published, commits, died, vault } = await deaths(step)
      expect(commits.at(-1)).toBe(count)
      expect(lettersOf(published).map(({ code, position }) => [code, position.offset])).toEqual([
        ['processing_crashed', poisoned],
      ])
      expect(died).toBeLessThanOrEqual(most)
      expect(typesOf(published)).toEqual(types)
      expect(await vault.metadata(`trial:${topic}/0`), 'no mark is left').toBeNull()
    },
  )
})

describe('I6: a record whose handling never settles', () => {
  it.each([
    ['score', { 'payment.scored': count - 1, 'event.observed': 1, 'event.dead_lettered': 1 }],
    ['load', { 'payment.scored': count - 1, 'event.dead_lettered': 1 }],
  ] as const)('at its %s, ends each process that meets it, then as a dead letter', async (step, types) => {
    const { run, published, commits, vault } = installation(step, () => new Promise<never>(() => undefined))
    const ends: unknown[] = []
    for (let isDone = false; !isDone && ends.length < 10;) {
      isDone = await run().then(
        () => true,
        (error: unknown) => (ends.push(error), false),
      )
    }
    // Together, twice alone, and where the score alone was left out.
    expect(ends).toHaveLength(step === 'score' ? 3 : 4)
    for (const error of ends) expect(error).toMatchObject({ code: 'handler_stalled' })
    expect(commits.at(-1)).toBe(count)
    expect(lettersOf(published).map(({ code, position }) => [code, position.offset])).toEqual([
      ['processing_crashed', poisoned],
    ])
    expect(typesOf(published)).toEqual(types)
    expect(await vault.metadata(`trial:${topic}/0`), 'no mark is left').toBeNull()
  })
})

describe('what is no record’s fault', () => {
  it('work that settles late because the loop is busy is no stall', async () => {
    const { run, published, commits } = installation('score', async () => {
      // Ten times the limit, in turns of the loop that hear nothing for so long.
      await heardAfter(1_000)
      throw new RiverbankError('score_failed', 'busy', { canRetry: false })
    })
    await expect(run()).rejects.toMatchObject({ code: 'score_failed' })
    expect(published).toEqual([])
    expect(commits).toEqual([])
  })

  const outage = new RiverbankError('state_unavailable', 'connection refused', { canRetry: true })
  const disk = Object.assign(new Error('no space left on device'), { errno: -28, code: 'ENOSPC', syscall: 'write' })

  it.each([outage, disk])('an outage that ends the role ten times makes no dead letter: %s', async (error) => {
    let isOut = true
    const { run, published, commits, together } = installation('everything', () =>
      isOut ? Promise.reject(error) : bug(),
    )
    for (let n = 0; n < 10; n += 1) await expect(run()).rejects.toBe(error)
    expect(published).toEqual([])
    expect(together(), 'records are handled together all the while').toBe(10)
    isOut = false
    await run()
    expect(lettersOf(published).map(({ code }) => code)).toEqual(['processing_failed'])
    expect(commits.at(-1)).toBe(count)
  })

  it('processes killed at one position twice make none: the third goes one by one, and all is well', async () => {
    const { run, published, commits, vault, together } = installation('nothing', bug)
    await vault.replaceMetadata(`trial:${topic}/0`, null, JSON.stringify({ position: 0, begins: 2 }))
    await run()
    expect(together()).toBe(0)
    expect(typesOf(published)).toEqual({ 'payment.scored': count })
    expect(commits).toHaveLength(count)
  })
})
