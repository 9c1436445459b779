import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { riverbank } from '../../../features/index.ts'
import { createFeatureSql, sqlOf } from '../../../src/compile/sql/feature-sql.ts'
import { decide } from '../../../src/scoring/decision.ts'
import { openQuery, type Query } from '../../../src/edges/duckdb/query.ts'
import { decisionSql } from '../../../src/lake/verify/scores/decisions.ts'
import { differentSql } from '../../../src/lake/verify/entities/recompute.ts'

const tempDir = mkdtempSync(join(tmpdir(), 'riverbank-sql-'))
let query: Query
beforeAll(async () => {
  query = await openQuery({ threads: 1, memoryMb: 256, tempDir, tempMb: 512, setup: [] })
})
afterAll(() => {
  query.close()
  rmSync(tempDir, { recursive: true, force: true })
})

const text = (score: number) => `'${Object.is(score, -0) ? '-0' : String(score)}'::DOUBLE`

test('I3: SQL decides as the processor does, at the thresholds, around them and for what is no number', async () => {
  const below = (value: number) => value - Number.EPSILON / 4
  for (const thresholds of [
    { review: 0.5, block: 0.9 },
    { review: 0.1 + 0.2, block: 1 / 3 },
    { review: 0, block: 0 },
  ]) {
    const { review, block } = thresholds
    const scores = [0, -0, review, below(review), block, below(block), 1, NaN, Infinity, -Infinity]
    const sql = decisionSql('score', thresholds)
    const rows = await query.rows(
      `SELECT ${sql} AS decision FROM (VALUES ${scores.map((score, i) => `(${i}, ${text(score)})`).join(', ')}) v(i, score) ORDER BY i`,
    )
    expect(rows.map(({ decision }) => decision)).toEqual(scores.map((score) => decide(score, thresholds)))
    const [none] = await query.rows(`SELECT ${decisionSql('NULL::DOUBLE', thresholds)} AS decision`)
    expect(none?.['decision']).toBeNull()
  }
})

test('the SQL that people are shown runs as it is, and says what the SQL of the whole entity says', async () => {
  const dayMs = 86_400_000
  const rows = Array.from({ length: 60 }, (_, i) => {
    const label = i % 7 === 3
    const timeMs = 1_780_000_000_000 + i * dayMs - (label ? 3 * dayMs : 0)
    return `('e${i % 2}', 1000, ${1_000 + i}, ${timeMs}, '${label ? 'fraud.reported' : 'payment.initiated'}', true, ${i}, ${i * 10}, 't${i % 3}', 'p${i % 8}', 'c${i % 3}', ${timeMs + i * 7})`
  })
  await query.run(`CREATE TABLE history AS SELECT * FROM (VALUES ${rows.join(', ')})
    v(id, incarnation, sequence, time_ms, event_type, is_observed, read_id, "amountMinor", "terminalId", "paymentId", "customerId", event_time_ms)`)
  const whole = createFeatureSql(riverbank)
  const column = (field: string) => `"${field}"`
  for (const [entity, names] of [
    ['customer', ['customer_habits', 'customer_reach__terminal_distinct_7d']],
    ['terminal', ['terminal_labels', 'terminal_risk__fraud_rate_30d']],
  ] as const) {
    const all = await query.rows(
      `SELECT * FROM (${whole.features(entity, { entries: 'history', column })}) ORDER BY read_id`,
    )
    for (const name of names) {
      const shown = await query.rows(`SELECT * FROM (${sqlOf(riverbank, name)}) ORDER BY read_id`)
      expect(shown).toHaveLength(all.length)
      for (const [i, row] of shown.entries()) expect(all[i]).toMatchObject(row)
    }
  }
  const [night] = await query.rows(`WITH features AS (SELECT 0::DOUBLE AS "timeMs") ${sqlOf(riverbank, 'night')}`)
  expect(night).toEqual({ night: 1 })
  expect(() => sqlOf(riverbank, 'nothing')).toThrow('no feature')
})

test('I3: a number that JSON says otherwise (-0) is as it was logged; a -0 in a log is not ours', async () => {
  const cases: [number | null, number | null, boolean][] = [
    [0, -0, false],
    [0, 0, false],
    [-0, 0, true],
    [-0, -0, true],
    [0, 1, true],
    [null, 0, true],
    [null, null, false],
  ]
  const cell = (value: number | null) => (value === null ? 'NULL::DOUBLE' : text(value))
  const values = cases.map(([logged, recomputed], i) => `(${i}, ${cell(logged)}, ${cell(recomputed)})`).join(', ')
  const differs = differentSql('logged', 'recomputed', 'double')
  const rows = await query.rows(
    `SELECT ${differs} AS differs FROM (VALUES ${values}) v(i, logged, recomputed) ORDER BY i`,
  )
  expect(rows.map((row) => row['differs'] === true)).toEqual(cases.map(([, , isOther]) => isOther))
})
