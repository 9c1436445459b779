import { describe, expect, test } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { createFeatureSql } from '../../../src/compile/sql/feature-sql.ts'
import type { VerifyOptions } from '../../../src/lake/verify/verify.ts'
import { day } from '../support/feed.ts'
import { lake } from '../support/fresh-lake.ts'
import { edit, pay, positionsOf, read, report, run, verify, write, type LogContent } from './support/world.ts'

const hour = 3_600_000
const dayMs = 24 * hour
const sql = createFeatureSql(riverbank)
/** So many places has a tile on the line of the frames. */
const ranks = 1_073_741_824n

const sent = [
  pay('p0', day, day),
  pay('p1', day + hour, day + hour, { customer: 'c2' }),
  pay('p2', day + 2 * hour, day + 2 * hour),
  report('f0', 'p0', day, day + 7 * dayMs),
  pay('p3', day + 8 * dayMs, day + 8 * dayMs),
]

async function byFeature(content: LogContent, change: Partial<VerifyOptions> = {}) {
  await write(lake, content, 200)
  const result = await verify(lake, { positions: { ...positionsOf(content), dense: false }, ...change })
  expect(result.ok).toBe(false)
  return result.invariants
}

/** Leaves a record out of both topics, as if it had never been there. */
function without(content: LogContent, id: string): LogContent {
  const isOther = (found: string) => !found.startsWith(id) && !found.startsWith(`c1/${id}`)
  return {
    ...content,
    events: content.events.filter((record) => isOther(read(record).id)),
    scores: content.scores.filter((record) => isOther(read(record).id)),
  }
}

describe('I3: verify finds a bug in either interpreter', () => {
  test('the engine: a value that is not what the window holds', async () => {
    const content = await run(sent)
    const last = content.scores.findIndex((record) => read(record).id === 'c1/p3:scored')
    edit(content.scores, last, ({ data }) => {
      data.features['terminal_risk__fraud_count_7d'] = 0
    })
    const { I3 } = await byFeature(content)
    expect(I3.byFeature['terminal_risk__fraud_count_7d']).toBe(1)
    expect(I3.examples[0]?.fields).toMatchObject({ entity: 'terminal', id: 't1', logged: 0, recomputed: 1 })
    expect(I3.examples[0]?.fields).toHaveProperty('sequence')
    expect(I3.examples[0]?.fields).toHaveProperty('definition')
  })

  test.each([
    ['a window that is a tile too long', `${299n * ranks}::BIGINT`, `${300n * ranks}::BIGINT`],
    ['a count of something else', 'count(sequence)', '2 * count(sequence)'],
    ['a mean with a float for a sum', '::DOUBLE / ', '::FLOAT / '],
  ])('the SQL: %s', async (_what, right, wrong) => {
    const features: typeof sql.features = (entity, relations) => {
      return sql.features(entity, relations).replaceAll(right, wrong)
    }
    expect(features('customer', { entries: 'e', column: (field) => `"field_${field}"` })).toContain(wrong)
    const many = Array.from({ length: 4 }, (_, i) =>
      pay(`q${i}`, day + 9 * dayMs + i * 300_000, day + 9 * dayMs + i * 300_000, { amount: 9_999_999 + i }),
    )
    const { I3 } = await byFeature(await run([...sent, ...many]), { sql: { ...sql, features } })
    expect(Object.keys(I3.byFeature).some((name) => name.startsWith('customer_spend__'))).toBe(true)
  })

  test('the SQL: an observation that is refused where the engine took it', async () => {
    const outcomes: typeof sql.outcomes = (entity, relations) => {
      return sql
        .outcomes(entity, relations)
        .replaceAll('coalesce(tile <= counted_forgotten, false)', 'true')
        .replaceAll('WHERE tile <= forgotten AND', 'WHERE')
    }
    const { I3 } = await byFeature(await run(sent), { sql: { ...sql, outcomes } })
    expect(I3.byFeature['outcome']).toBeGreaterThan(0)
  })

  test('the derived expression: another constant', async () => {
    const derived: typeof sql.derived = (columns, rows) =>
      sql.derived(columns, rows).replaceAll("'100'", "'100.00000000000001'")
    const { I3 } = await byFeature(await run(sent), { sql: { ...sql, derived } })
    expect(I3.byFeature['amount']).toBeGreaterThan(0)
    const example = I3.examples.find(({ fields }) => fields['feature'] === 'amount')
    expect(example?.fields).toMatchObject({ entity: 'customer', logged: 12.34 })
    expect(example?.fields).toHaveProperty('sequence')
    expect(example?.fields).toHaveProperty('definition')
  })
})

describe('I1: verify finds a broken step of the protocol', () => {
  test('an observation that counted twice and is there once', async () => {
    const twice = [...sent.slice(0, 3), pay('p2-again', day + 2 * hour, day + 2 * hour + 1), ...sent.slice(3)]
    const { I1, I3 } = await byFeature(without(await run(twice), 'p2-again'))
    expect(Object.keys(I1.byCode)).toContain('sequence_gap')
    expect(I3.byFeature['customer_spend__payment_count_30d']).toBe(1)
  })

  test('an observation that is there and never counted', async () => {
    const [whole, lossy] = [await run(sent), await run(sent.filter((_, i) => i !== 2))]
    // The log has the event and an answer to it; the entities went on as if it had not been.
    const later = (record: LogContent['scores'][number]) => read(record).id === 'c1/p3:scored'
    const [wrong] = lossy.scores.filter(later)
    const scores = whole.scores.map((record) =>
      later(record) && wrong !== undefined ? { ...record, value: wrong.value } : record,
    )
    const at = scores.findIndex(later)
    const place = read(whole.scores[at] as never).data.position
    edit(scores, at, ({ data }) => Object.assign(data.position, place))
    const { I1, I3 } = await byFeature({ ...whole, scores })
    expect(Object.keys(I1.byCode)).toContain('sequence_twice')
    expect(I3.byFeature['customer_spend__payment_count_30d']).toBe(1)
  })
})
