import { describe, expect, test } from 'vitest'
import { renderVerify } from '../../../../src/lake/verify/text.ts'
import { day } from '../../support/feed.ts'
import { lake } from '../../support/fresh-lake.ts'
import {
  pay,
  positionsOf,
  report,
  run,
  statesOf,
  story,
  verify,
  write,
  type LogContent,
  type Sent,
} from '../support/world.ts'

const hour = 3_600_000
const dayMs = 24 * hour
/** The lake of a story is written record by record. */
const patient = { timeout: 60_000 }
import { testSeed as seed } from '../../../support/seed.ts'

const p1 = (amount: number) => pay('p1', day + hour, day + hour, { amount })
const few = (second: Sent): Sent[] => [
  pay('p0', day, day),
  second,
  pay('p1', day + hour, day + hour + 1),
  report('f0', 'p0', day, day + 7 * dayMs),
  pay('p2', day + 8 * dayMs, day + 8 * dayMs),
]

/** What is said of the states in a store, when the lake has `content`. */
async function found(content: LogContent, states: LogContent['states'] = content.states, behind = 0) {
  await write(lake, content, 200)
  const positions = positionsOf(content)
  const stored = new Map([...positions.committed].map(([partition, next]) => [partition, next - behind]))
  const result = await verify(lake, { positions, states: statesOf({ states }, stored) })
  const { I4, ...others } = result.invariants
  if (I4 === undefined) throw new Error('the states were compared')
  for (const { violations } of Object.values(others)) expect(violations, renderVerify(result)).toBe(0)
  expect(result.ok).toBe(I4.violations === 0)
  return { result, I4, fields: I4.examples.map((example) => example.fields) }
}

test(
  `I4: the states are what the lake implies, after late, repeated and poisonous events (seed ${seed})`,
  patient,
  async () => {
    const content = await run(story(seed))
    const { I4, result } = await found(content)
    expect(I4, renderVerify(result)).toMatchObject({ violations: 0 })
    expect(I4.counts).toMatchObject({ 'states compared': content.states.size, positions: 2 })
    expect(I4.counts['values']).toBeGreaterThan(content.states.size)
    expect(result.notes).toContain('states: of all entities')
  },
)

test('a sample is chosen by its seed, and the report says so', patient, async () => {
  const content = await run(story(seed))
  await write(lake, content, 200)
  const positions = positionsOf(content)
  const states = { ...statesOf(content, positions.committed), sample: { perEntity: 2, seed: 7 } }
  const result = await verify(lake, { positions, states })
  expect(result.invariants.I4?.counts).toMatchObject({ 'states compared': 6, 'customers in the lake': 3 })
  expect(result.notes).toContain('states: at most 2 of each kind of entity, chosen by seed 7')
})

describe('I4', () => {
  test('an observation that counted with another value is reported with both values and the definition', async () => {
    const [content, other] = [await run(few(p1(500))), await run(few(p1(501)))]
    const { I4, fields } = await found(content, other.states)
    expect(Object.keys(I4.byCode)).toEqual(['state_differs'])
    const what = 'customer_spend__amount_sum_30d'
    expect(fields.find((one) => one['what'] === what)).toMatchObject({
      entity: 'customer',
      id: 'c1',
      state: 2_969,
      implied: 2_968,
    })
    expect(String(fields[0]?.['definition'])).toContain('window')
  })

  test('an observation that the state lost is reported with its entity', async () => {
    const all = few(p1(500))
    const [content, shorter] = [await run(all), await run(all.slice(0, -1))]
    const { fields } = await found(content, shorter.states)
    expect(fields[0]).toMatchObject({ entity: 'customer', id: 'c1', what: 'sequence' })
  })

  test('a missing state and an unreadable one are violations', async () => {
    const content = await run(few(p1(500)))
    const states = new Map(content.states)
    states.delete('terminal/t1')
    const blob = Uint8Array.from(states.get('customer/c1') ?? [])
    blob[blob.length - 1] = (blob[blob.length - 1] ?? 0) ^ 1
    states.set('customer/c1', blob)
    const { I4 } = await found(content, states)
    expect(I4.byCode).toEqual({ state_missing: 1, state_unreadable: 1 })
  })

  test('a position below the commit is a violation', async () => {
    const content = await run(few(p1(500)))
    const { I4 } = await found(content, content.states, 1)
    expect(I4.byCode).toEqual({ position_behind_commit: 1 })
  })

  test('a state that went on while verify was reading is counted and not compared', async () => {
    const all = few(p1(500))
    const later = pay('p9', day + 9 * dayMs, day + 9 * dayMs)
    const [content, longer] = [await run(all), await run([...all, later])]
    const { I4 } = await found(content, longer.states)
    expect(I4).toMatchObject({ violations: 0, counts: { 'states compared': 0, 'moved on': 3 } })
  })
})
