import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RunSummary } from '../../scripts/demo/finish.ts'
import { kafkaMissing, startTestKafka, type TestKafka } from '../support/kafka-broker.ts'
import { redisAvailable } from '../support/redis-server.ts'
import { startProgram, type Ended } from './support/program.ts'

const events = 3_000
const noRedis = redisAvailable()
const noKafka = kafkaMissing()

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'riverbank-demo-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))

/** What `npm start` runs. */
const start = ['scripts/bootstrap/run.mjs', '--redis', 'scripts/demo.ts']

/** `npm start -- --events 3000 --exit`, in a folder of its own. */
function runDemo(name: string, args: readonly string[] = [], settings: Readonly<Record<string, string>> = {}) {
  const data = ['--data', join(dir, name)]
  return startProgram([...start, '--events', String(events), '--exit', ...data, ...args], settings).ended
}

function expectWholeRun({ code, stdout, stderr }: Ended): void {
  expect(code, stderr).toBe(0)
  const summary = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as RunSummary
  expect(summary).toEqual({
    events,
    labels: expect.any(Number) as number,
    scores: events,
    deadLetters: 0,
    repeats: expect.any(Number) as number,
    lakeRows: { events: events + summary.labels + summary.repeats, scores: events },
    eventsPerSecond: expect.any(Number) as number,
    latencyMs: { p50: expect.any(Number) as number, p99: expect.any(Number) as number },
    mismatches: 0,
    seconds: expect.any(Number) as number,
  })
  expect(summary.eventsPerSecond).toBeGreaterThan(0)
  expect(summary.latencyMs.p99).toBeGreaterThanOrEqual(summary.latencyMs.p50)
}

const logins = ['--project', 'examples/logins']

/** What verify says of each type, where scores of both were recomputed. */
function expectBothTypes(run: Ended): void {
  expectWholeRun(run)
  const counted = /([\d,]+) logins, ([\d,]+) scores of logins, ([\d,]+) resets, ([\d,]+) scores of resets/.exec(
    run.stderr,
  )
  const [attempts = 0, scored = 0, asked = 0, judged = 0] = (counted ?? [])
    .slice(1)
    .map((text) => Number(text.replaceAll(',', '')))
  expect([scored, judged], run.stderr).toEqual([attempts, asked])
  expect(attempts + asked).toBe(events)
  expect(asked).toBeGreaterThan(0)
  expect(run.stderr).toContain(`${events.toLocaleString('en-US')} scores recomputed`)
}

describe.skipIf(noRedis !== null)(`a counted run${noRedis === null ? '' : ` (skipped: ${noRedis})`}`, () => {
  test('two at the same time score, store and prove all their payments, and end well', async () => {
    const runs = await Promise.all([runDemo('one'), runDemo('two')])
    for (const run of runs) expectWholeRun(run)
  })

  test('of a project that scores two types scores, stores and proves both, each with its own models', async () => {
    expectBothTypes(await runDemo('logins', logins))
  })

  test('is called wrongly with exit code 2', async () => {
    const ended = await startProgram([...start, '--events', 'many', '--exit']).ended
    expect(ended.code, ended.stderr).toBe(2)
    expect(ended.stdout).toBe('')
  })
})

describe.skipIf(noRedis !== null || noKafka !== null)('a counted run on Kafka', () => {
  let kafka: TestKafka

  beforeAll(async () => {
    kafka = await startTestKafka()
  })

  afterAll(() => kafka.remove())

  test('scores, stores and proves all its payments', async () => {
    expectWholeRun(await runDemo('kafka', ['--log', 'kafka'], { KAFKA_BROKERS: kafka.brokers }))
  })

  test('of a project that scores two types scores, stores and proves both', async () => {
    expectBothTypes(await runDemo('logins', [...logins, '--log', 'kafka'], { KAFKA_BROKERS: kafka.brokers }))
  })
})
