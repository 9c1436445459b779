import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { comparisonRows, readReport, verdictOf } from '../../scripts/bench/compare.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'riverbank-compare-'))
})
afterAll(() => rm(dir, { recursive: true }))

test('ranges that overlap are within noise, however far apart the medians are', () => {
  expect(verdictOf([100, 110, 200], [190, 300, 310], 'payments/s')).toBe('within noise')
})

test('ranges apart are a change, named by what the unit means', () => {
  expect(verdictOf([100, 101, 102], [110, 111, 112], 'payments/s')).toBe('faster')
  expect(verdictOf([100, 101, 102], [110, 111, 112], 'µs/payment')).toBe('slower')
  expect(verdictOf([100, 101, 102], [90, 91, 92], 'ms')).toBe('faster')
  expect(verdictOf([100, 101, 102], [90, 91, 92], 'rows/s')).toBe('slower')
  expect(verdictOf([0.5, 0.5, 0.5], [0.6, 0.6, 0.6], 'ratio')).toBe('changed')
})

test('a change of medians below 3 % is noise, however narrow the ranges are', () => {
  expect(verdictOf([100, 100, 100], [102, 102, 102], 'ms')).toBe('within noise')
  expect(verdictOf([100, 100, 100], [103, 103, 103], 'ms')).toBe('slower')
})

test('one round has no range: a change below 20 % is not judged', () => {
  expect(verdictOf([100], [119, 119, 119], 'ms')).toBe('one round')
  expect(verdictOf([100], [121], 'ms')).toBe('slower')
})

test('a metric that the earlier run did not have is new', () => {
  expect(verdictOf([], [1], 'ms')).toBe('new')
})

test('metrics are compared by benchmark, driver, name and unit, with the values of all rounds', async () => {
  const metric = { benchmark: 'stream', driver: 'redis', name: 'scored', unit: 'payments/s' } as const
  const report = {
    environment: { commit: 'abc1234' },
    measuredAt: '2026-01-01T00:00:00.000Z',
    measurements: [
      { ...metric, values: [100, 101, null] },
      { ...metric, driver: 'kafka', values: [1] },
    ],
  }
  const file = join(dir, 'report.json')
  await writeFile(file, JSON.stringify(report))
  const earlier = await readReport(file)
  expect(earlier.environment.commit).toBe('abc1234')
  const values = [200, 201, 202]
  const rows = comparisonRows(earlier, [{ ...metric, values, median: 201, min: 200, max: 202 }])
  expect(rows).toEqual([
    {
      ...{ benchmark: 'stream', log: 'redis', what: 'scored', unit: 'payments/s' },
      ...{ before: '100.5', now: '201', change: '100.0 %', verdict: 'faster' },
    },
  ])
})

test('a report that is missing, no JSON, or of another form is refused by name', async () => {
  const missing = join(dir, 'missing.json')
  await expect(readReport(missing)).rejects.toMatchObject({ code: 'report_unreadable' })
  await expect(readReport(missing)).rejects.toThrow('missing.json')
  for (const [name, text] of [
    ['text.json', 'no json'],
    ['other.json', '{"measurements": 3}'],
  ] as const) {
    await writeFile(join(dir, name), text)
    await expect(readReport(join(dir, name))).rejects.toMatchObject({ code: 'report_unreadable' })
    await expect(readReport(join(dir, name))).rejects.toThrow(name)
  }
})
