import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { canonicalLines } from '../../../features/simulator/canonical-lines.ts'
import { generatePayments, type PaymentColumns } from '../../../features/simulator/payments.ts'

// Facts of the published data set (Le Borgne et al. 2022, chapter 3), as measured from its data.
describe('without options it is the published data set', () => {
  let columns: PaymentColumns
  let generatedMs: number

  beforeAll(() => {
    const startMs = performance.now()
    columns = generatePayments()
    generatedMs = performance.now() - startMs
  }, 120_000)

  test('has the published numbers of payments and frauds', () => {
    expect(columns.length).toBe(1_754_155)
    const byScenario = [0, 0, 0, 0]
    for (const scenario of columns.scenario) byScenario[scenario] = (byScenario[scenario] ?? 0) + 1
    expect(byScenario.slice(1)).toEqual([973, 9_077, 4_631])
    expect(columns.fraud.reduce((sum, value) => sum + value, 0)).toBe(14_681)
  })

  test('the same customers, money and first day', () => {
    expect(new Set(columns.customer).size).toBe(4_990)
    expect(columns.cents.reduce((sum, value) => sum + value, 0)).toBe(9_407_937_008)
    expect(columns.day.findIndex((day) => day > 0)).toBe(9_488)
    expect(columns.day.at(-1)).toBe(182)
  })

  test('has the published lines, byte for byte', () => {
    const hash = createHash('sha256')
    let first = ''
    for (const block of canonicalLines(columns)) {
      if (first === '') first = block.split('\n').slice(0, 3).join(' ')
      hash.update(block)
    }
    expect(first).toBe('31,596,3156,5716,0,0 130,4961,3412,8151,0,0 476,2,1365,14600,0,0')
    expect(hash.digest('hex')).toBe('3b14a0dbc8a3a7fdccc2e5e528df29a5bb9c1422231faf42a7a700c53e2c6c73')
  }, 60_000)

  test('is generated in seconds, not minutes', () => {
    // Under 2 s on an idle machine; the bound only catches an algorithm gone wrong.
    expect(generatedMs).toBeLessThan(30_000)
  })
})
