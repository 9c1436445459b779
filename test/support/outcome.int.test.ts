import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { countsLine, skippedLine, type Outcome } from './outcome.ts'

const root = new URL('../..', import.meta.url).pathname
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'riverbank-outcome-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Runs the files as a test project of their own and answers what the reporter made of it. */
function outcomeOf(files: Record<string, string>, ...args: string[]): Outcome & { code: number | null } {
  for (const [name, source] of Object.entries(files)) writeFileSync(join(dir, name), source)
  const reporter = `--reporter=${root}test/support/outcome-reporter.ts`
  const vitest = [`${root}node_modules/vitest/vitest.mjs`, 'run', '--root', dir, '--globals', reporter, ...args]
  const TEST_OUTCOME_FILE = join(dir, 'outcome.json')
  const TEST_MISSING = JSON.stringify({ Kafka: 'no java' })
  const run = spawnSync(process.execPath, vitest, {
    cwd: dir,
    env: { ...process.env, TEST_OUTCOME_FILE, TEST_MISSING },
    timeout: 60_000,
  })
  return { ...(JSON.parse(readFileSync(TEST_OUTCOME_FILE, 'utf8')) as Outcome), code: run.status }
}

test('counts tests, and what broke before its tests', () => {
  const { code, left, ...counts } = outcomeOf({
    'mixed.test.js': `
      test('good', () => {})
      test('bad', () => { throw new Error('bad') })
      test.skip('later', () => {})
      describe('broken', () => { beforeAll(() => { throw new Error('no server') }); test('never', () => {}) })`,
    'unreadable.test.js': `import './nowhere.js'`,
  })
  expect(code).toBe(1)
  expect(counts).toMatchObject({ passed: 1, failed: 3 })
  expect(left).toContainEqual({ kind: 'test', name: 'mixed.test.js > later', reason: 'no reason given' })
})

test('names the outermost skipped suites with their reasons', () => {
  const { code, left, ...counts } = outcomeOf({
    'kafka.test.js': `
      // support/kafka-broker.ts
      describe.skip('log', () => { test('a', () => {}); describe('inner', () => { test('b', () => {}) }) })`,
    'half.test.js': `
      test('good', () => {})
      test('asks', (context) => context.skip('no network'))
      describe.skip('model (skipped: no file)', () => { describe('inner', () => { test('c', () => {}) }) })`,
  })
  expect(code).toBe(0)
  expect(counts).toEqual({ passed: 1, failed: 0, skipped: 4 })
  expect(left.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
    { kind: 'test', name: 'half.test.js > asks', reason: 'no network' },
    { kind: 'suite', name: 'half.test.js > model (skipped: no file)', reason: 'no file' },
    { kind: 'suite', name: 'kafka.test.js', reason: 'Kafka: no java' },
  ])
})

test('what a name pattern leaves out was not asked for', () => {
  const source = `test('one', () => {}); test('two', () => {})`
  const { left } = outcomeOf({ 'a.test.js': source }, '-t', 'one')
  expect(left).toEqual([{ kind: 'test', name: 'a.test.js > two', reason: 'not asked for by name' }])
})

test('the closing lines name what was skipped, and why', () => {
  expect(skippedLine([])).toBe('skipped: nothing')
  const suite = (reason: string) => ({ kind: 'suite' as const, name: 'x', reason })
  const lone = { kind: 'test' as const, name: 'y', reason: 'Kafka:\n no java' }
  expect(skippedLine([suite('Kafka: no java'), suite('Kafka: no java'), suite('Python: none')])).toBe(
    'skipped: 2 suites (Kafka: no java), 1 suite (Python: none)',
  )
  expect(skippedLine([lone])).toBe('skipped: 1 test (Kafka: no java)')
  expect(countsLine({ passed: 3, failed: 0, skipped: 12 })).toBe('3 passed, 0 failed, 12 skipped')
})
