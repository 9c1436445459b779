import { beforeAll, describe, expect, it } from 'vitest'
import { createMemoryEngine } from '../../src/core/engine.ts'
import { deadLetterSchema } from '../../src/core/emitted.ts'
import { decodeEvent } from '../../src/core/event.ts'
import { createEmission } from '../../src/process/emission.ts'
import { takeIn, type EventIntake } from '../../src/process/intake.ts'
import type { Effect } from '../../src/process/observe-batch.ts'
import { fixedModels } from '../../src/process/serving.ts'
import type { OutgoingRecord, Scorer } from '../../src/ports.ts'
import { model, versioned } from './support/models.ts'
import { compiled } from './support/wiring.ts'
import { traffic } from './support/traffic.ts'

const { plan, catalog, set } = compiled
const topics = { scores: 'scores', deadLetters: 'dead' }
const champion = versioned('1')

/** Five payments, applied. */
let payments: Extract<Effect, { kind: 'applied' }>[]
beforeAll(() => {
  const engine = createMemoryEngine(plan)
  const sent = traffic({ topic: 'events', seed: 11, events: 40, customers: 20, terminals: 20 })
  const records = sent
    .filter(({ kind }) => kind === 'payment')
    .slice(0, 5)
    .map(({ record }, offset) => ({
      topic: 'events',
      partition: 0,
      offset,
      appendTimeMs: Date.UTC(2026, 2, 2),
      key: record.key,
      value: Buffer.from(record.value as string),
      headers: {},
    }))
  const batch = { topic: 'events', partition: 0, records, next: 5, end: 5 }
  payments = takeIn(batch, catalog, plan, set.scored).map((item) => {
    if (item.kind !== 'event') throw new Error('the traffic has payments')
    return { kind: 'applied', item, snapshots: engine.apply(item.event, item.observedAtMs, item.record, true) }
  })
})

interface Story {
  readonly champion?: Scorer
  readonly shadows?: readonly Scorer[]
  readonly change?: (item: EventIntake) => EventIntake
}

/** What is emitted, and what the metrics are told. */
async function emitted({ champion: first = champion, shadows = [], change = (item) => item }: Story) {
  const told: string[] = []
  const metrics = {
    shadowFailed: (name: string, failure: string, count: number) => void told.push(`${name} ${failure} ${count}`),
    unscored: (code: string) => void told.push(code),
  }
  const emit = createEmission({ plan, topics, metrics })
  const effects = payments.map((effect) => ({ ...effect, item: change(effect.item) }))
  const servings = await fixedModels(first, shadows)('events', 0, 0)
  const records = await emit(
    effects.map(({ item }) => item),
    effects,
    servings,
  )
  return { told, records, data: records.map(dataOf) }
}

interface Data {
  readonly score?: number
  readonly shadows?: Readonly<Record<string, number | null>>
  readonly observedId?: string
  readonly code?: string
}

const dataOf = ({ value }: OutgoingRecord) => (JSON.parse(String(value)) as { data: Data }).data

/** Row 2 is not finite. */
const spoilt = (version: string, by: number): Scorer => ({
  ...versioned(version),
  score: async (vectors, rows) => (await versioned(version).score(vectors, rows)).map((s, row) => (row === 2 ? by : s)),
})

describe('shadows', () => {
  it('score in the same batch and change nothing else', async () => {
    const [alone, beside] = [await emitted({}), await emitted({ shadows: [versioned('2'), versioned('3')] })]
    expect(beside.data.map(({ shadows }) => Object.keys(shadows ?? {}))).toEqual(
      payments.map(() => ['hash/2', 'hash/3']),
    )
    const without = beside.data.map(({ shadows: _, ...rest }) => rest)
    expect(without).toEqual(alone.data)
    expect(alone.records.every(({ value }) => !String(value).includes('"shadows"'))).toBe(true)
    const [own] = await Promise.all([emitted({ champion: { ...versioned('2'), ...model(1) } })])
    expect(beside.data.map(({ shadows }) => shadows?.['hash/2'])).toEqual(own.data.map(({ score }) => score))
  })

  it.each([NaN, Infinity, -Infinity])('that answer %d for a row have a null there, and are counted', async (by) => {
    const { data, told } = await emitted({ shadows: [spoilt('2', by)] })
    expect(data.map(({ shadows }) => shadows?.['hash/2'] === null)).toEqual([false, false, true, false, false])
    expect(told).toEqual(['hash/2 not_finite 1'])
  })

  it.each<[string, Scorer['score']]>([
    ['reject', () => Promise.reject(new Error('no'))],
    [
      'throw',
      () => {
        throw new Error('no')
      },
    ],
    ['answer too few', () => Promise.resolve(new Float32Array(1))],
  ])('that %s have nulls, and the champion and the other shadow their scores', async (_name, score) => {
    const broken = { ...versioned('2'), score }
    const { data, told } = await emitted({ shadows: [broken, versioned('3')] })
    expect(told).toEqual(['hash/2 failed 5'])
    expect(data.every(({ shadows }) => shadows?.['hash/2'] === null && typeof shadows['hash/3'] === 'number')).toBe(
      true,
    )
    expect(data.map(({ score: own }) => own)).toEqual((await emitted({})).data.map(({ score: own }) => own))
  })
})

describe('I6: a payment that no score can be found for', () => {
  it.each([NaN, Infinity])(
    '%d for a score: is told as observed, has a dead letter, and the rest goes on',
    async (by) => {
      const { records, data, told } = await emitted({ champion: spoilt('1', by) })
      expect(records.map(({ topic }) => topic)).toEqual(['scores', 'scores', 'scores', 'dead', 'scores', 'scores'])
      expect(data[2]?.observedId).toBe(payments[2]?.item.event.eventId)
      const letter = deadLetterSchema.parse(data[3])
      expect(letter).toMatchObject({ code: 'score_not_finite', position: { offset: 2 }, attempts: 1 })
      expect(decodeEvent(Buffer.from(letter.value, 'base64'), catalog, Date.UTC(2026, 2, 2)).kind).toBe('valid')
      expect(told).toEqual(['score_not_finite'])
    },
  )

  it('a vector that is not finite never reaches a model, and the others are scored as they would be without it', async () => {
    const rows: number[] = []
    const counting: Scorer = {
      ...champion,
      score: (vectors, count) => {
        rows.push(count)
        expect(vectors.every((value) => Number.isFinite(value))).toBe(true)
        return champion.score(vectors, count)
      },
    }
    const third = payments[2]?.item
    // Beyond what a float32 holds: no event can say so, and a definition might.
    const change = (item: EventIntake) =>
      item === third ? { ...item, data: { ...item.data, amountMinor: 1e300 } } : item
    const { data, told } = await emitted({ champion: counting, shadows: [{ ...counting, ...model(2) }], change })
    expect(rows).toEqual([4, 4])
    expect(told).toEqual(['vector_not_finite'])
    expect(data[3]).toMatchObject({ code: 'vector_not_finite', detail: 'amount is Infinity as a float32' })
    const scores = (await emitted({})).data.map(({ score }) => score)
    expect(data.flatMap(({ score }) => score ?? [])).toEqual(scores.filter((_, i) => i !== 2))
  })
})

it('a champion that cannot be run is tried again: nothing is published', async () => {
  const failing = { ...champion, score: () => Promise.reject(new Error('no memory')) }
  await expect(emitted({ champion: failing })).rejects.toThrow('no memory')
})
