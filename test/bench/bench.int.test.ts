import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { benchmarks } from '../../scripts/bench/registry.ts'
import { built } from '../support/built.ts'
import { kafkaMissing } from '../support/kafka-broker.ts'
import { redisAvailable } from '../support/redis-server.ts'

interface Report {
  readonly measurements: readonly { readonly benchmark: string; readonly driver: string | null }[]
}

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'riverbank-bench-test-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function bench(...args: readonly string[]) {
  const child = spawn(process.execPath, [built('scripts/bench.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  const code = await new Promise((resolve) => child.once('close', resolve))
  return { code, ...said }
}

/** The benchmarks of which the report of a run has measurements. */
async function measuredBy(file: string): Promise<ReadonlySet<string>> {
  const { measurements } = JSON.parse(await readFile(file, 'utf8')) as Report
  return new Set(measurements.map(({ benchmark }) => benchmark))
}

test('a report that cannot be read ends a comparison before anything is measured', async () => {
  const file = join(dir, 'missing.json')
  const { code, stdout, stderr } = await bench('--only', 'engine', '--compare', file)
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toContain(`report_unreadable: ${file}`)
})

test('a misspelt benchmark is refused with the names of all', async () => {
  const { code, stderr } = await bench('--only', 'engine,steam')
  expect(code).toBe(2)
  for (const { name } of benchmarks) expect(stderr).toContain(name)
})

describe.skipIf(redisAvailable() !== null)('on Redis', () => {
  test('every benchmark runs, and a second run is compared with the first', async () => {
    const file = join(dir, 'redis.json')
    const { code, stderr } = await bench('--short', '--log', 'redis', '--json', file)
    expect(code, stderr).toBe(0)
    expect([...(await measuredBy(file))].sort()).toEqual(benchmarks.map(({ name }) => name).sort())
    const again = await bench('--short', '--only', 'explain', '--compare', file)
    expect(again.code, again.stderr).toBe(0)
    expect(again.stdout).toMatch(/compared with commit .*\d of 3 changed beyond noise/)
  })
})

describe.skipIf(kafkaMissing() !== null)('on Kafka', () => {
  test('every benchmark of a log runs', async () => {
    const names = benchmarks
      .filter(({ drivers, isLong }) => drivers.includes('kafka') && isLong !== true)
      .map(({ name }) => name)
    const file = join(dir, 'kafka.json')
    const { code, stderr } = await bench('--short', '--only', names.join(','), '--log', 'kafka', '--json', file)
    expect(code, stderr).toBe(0)
    expect([...(await measuredBy(file))].sort()).toEqual(names.toSorted())
  })
})
