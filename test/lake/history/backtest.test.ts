import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { compilePolicy, parsePolicy } from '../../../src/scoring/policy.ts'
import { openQuery, type Query } from '../../../src/edges/duckdb/query.ts'
import { prometheusMeter } from '../../../src/edges/prometheus/meter.ts'
import { runBacktest, type BacktestOptions } from '../../../src/lake/history/backtest.ts'
import { openLake, type Lake } from '../../../src/lake/commit/lake.ts'
import { monitorModel } from '../../../src/lake/history/monitor.ts'
import { calibrationError, monitorMetrics } from '../../../src/lake/history/monitor-metrics.ts'
import { sqlCatalog } from '../../../src/lake/tables/sql-catalog.ts'
import {
  batchOf,
  claimOf,
  day,
  fraud,
  observed,
  materializer,
  payment,
  ofPayments,
  record,
  schema,
  score,
  tempFolder,
  topics,
} from '../support/feed.ts'

const names = ['spend__count_7d', 'spend__mean_7d']
const minuteMs = 60_000
const at = (n: number) => day + n * minuteMs
/** As many as there are bins in the profile below: 0 to 19, of which every fifth is fraud. */
const payments = 20
const isFraud = (n: number) => n % 5 === 0

describe('a lake with decisions and their outcomes', () => {
  let folder: ReturnType<typeof tempFolder>
  let lake: Lake
  let query: Query

  beforeEach(async () => {
    folder = tempFolder()
    lake = await openLake({ dir: folder.dir })
    const numbers = Array.from({ length: payments }, (_, n) => n)
    const events = numbers.map((n) => payment(`p${n}`, at(n)))
    const labels = numbers.filter(isFraud).map((n) => fraud(`f${n}`, `p${n}`, at(n) + minuteMs, at(n)))
    const scores = numbers.map((n) => {
      const mean = n === 7 ? 'null' : String(n / 2)
      const text = score(`p${n}:scored`, `p${n}`, at(n), `{"spend__count_7d":${n},"spend__mean_7d":${mean}}`, n)
      const other = n === 3 ? 'null' : '0.5'
      const shadowed = text.replace('"entities":', `"shadows":{"m/2":${other}},"entities":`)
      // What was decided then: everything from 12 on was reviewed.
      return n < 12 ? shadowed : shadowed.replace('"decision":"approve"', '"decision":"review"')
    })
    await write(topics.events, [...events, ...labels])
    const told = labels.map((_, i) => observed(`o${i}`, `f${i}`, events.length + i))
    await write(topics.scores, [...scores, ...told])
    const { setup } = await sqlCatalog(lake, schema)
    query = await openQuery({ threads: 1, memoryMb: 512, tempDir: folder.dir, tempMb: 0, setup })
  })
  afterEach(() => {
    query.close()
    folder.remove()
  })

  async function write(topic: string, values: readonly string[]): Promise<void> {
    const writer = await materializer(lake)
    const assignment = claimOf(topic, 0)
    await writer.assigned(assignment)
    await writer.batch(
      assignment,
      batchOf(values.map((value, i) => record(topic, i, value, { appendTimeMs: at(1_000) }))),
    )
    await writer.stop()
  }

  const deciderOf = (policy: object) =>
    compilePolicy(parsePolicy({ format: 2, ...policy }), { names, entities: ['customer'], fields: new Map() }).decide

  /** Scores are count ÷ 20: a function of the first input. */
  const options = (change: Partial<BacktestOptions> = {}): BacktestOptions => ({
    query,
    schema,
    scored: ofPayments,
    model: {
      score: async (vectors, rows) =>
        Promise.resolve(Float32Array.from({ length: rows }, (_, r) => (vectors[2 * r] ?? NaN) / 20)),
    },
    vector: [0, 1],
    names,
    decide: deciderOf({ version: '1', thresholds: { review: 0.5, block: 0.75 } }),
    cost: { reviewMinor: 0, falseBlockMinor: 0 },
    fromMs: day,
    toMs: at(1_000),
    signal: new AbortController().signal,
    onProgress: () => undefined,
    ...change,
  })

  it('a backtest sets decisions beside those that were made, on the same payments', async () => {
    const found = await runBacktest(options())
    expect(found.incomplete).toBe(1)
    expect(found.champion).toMatchObject({ events: 19, frauds: 4 })
    expect(found.champion.confusion.fraud).toEqual({ approve: 3, review: 1, block: 0 })
    // From 10 on reviewed, from 15 on blocked; frauds are 0, 5, 10 and 15.
    expect(found.candidate.confusion).toEqual({
      fraud: { approve: 2, review: 1, block: 1 },
      honest: { approve: 7, review: 4, block: 4 },
    })
    expect(found.changed).toEqual([
      { then: 'review', now: 'block', events: 5, frauds: 1 },
      { then: 'approve', now: 'review', events: 2, frauds: 1 },
    ])
    expect(found.decidedBy).toEqual({ model: 19 })
  })

  it('a backtest takes the payments of its time only, applies rules, and writes nothing', async () => {
    const before = await lake.snapshot()
    const rules = [{ name: 'many', when: [{ value: 'spend__count_7d', is: '>=', than: 3 }], decision: 'block' }]
    const decide = deciderOf({ version: '2', thresholds: { review: 1, block: 1 }, rules })
    const found = await runBacktest(options({ fromMs: at(1), toMs: at(6), decide }))
    expect(found.decidedBy).toEqual({ model: 2, 'rule:many': 3 })
    expect(found.candidate.events).toBe(5)
    expect(await lake.snapshot()).toEqual(before)
  })

  it('a backtest that is stopped rejects with the reason', async () => {
    const stopping = new AbortController()
    stopping.abort(new Error('enough'))
    await expect(runBacktest(options({ signal: stopping.signal }))).rejects.toThrow('enough')
  })

  const flat = { edges: [5, 10, 15], shares: [0.25, 0.25, 0.25, 0.25], usual: { value: 0, share: 0.05 } }
  const monitor = (change: object = {}) =>
    monitorModel({
      query,
      schema,
      scored: ofPayments,
      model: { name: 'm', version: '1' },
      profile: {
        format: 1,
        rows: 20,
        score: { edges: [0.5], shares: [1, 0], usual: { value: 0.25, share: 1 } },
        features: { spend__count_7d: flat, spend__mean_7d: flat },
      },
      fromMs: day,
      toMs: at(1_000),
      labelDelayMs: 0,
      ...change,
    })

  it('the monitor measures drift, missing values, calibration and outcomes', async () => {
    const found = await monitor()
    expect(found.events).toBe(20)
    expect(found.score).toMatchObject({ psi: 0, nullRate: 0, usualRate: 1 })
    const [mean, count] = found.features
    expect(count).toMatchObject({ name: 'spend__count_7d', psi: 0, nullRate: 0, usualRate: 0.05, usualRateThen: 0.05 })
    expect(mean).toMatchObject({ name: 'spend__mean_7d', nullRate: 0.05 })
    // Half of the values are in the second bin now, none above it.
    expect(mean?.psi).toBeGreaterThan(1)
    expect(found.outcomes).toMatchObject({
      events: 20,
      frauds: 4,
      alertRate: 8 / 20,
      precision: 1 / 8,
      recall: 1 / 4,
    })
    expect(found.calibration).toHaveLength(10)
    expect(found.calibration.reduce((sum, bin) => sum + bin.events * bin.fraudShare, 0)).toBeCloseTo(4, 9)
  })

  it('what the monitor measured is on /metrics, by model, value and shadow', async () => {
    const meter = prometheusMeter({ processMetrics: false, constantLabels: {} })
    const expose = monitorMetrics(meter)
    // What was said of the model before is over.
    expose([{ model: 'm/0', report: await monitor() }], at(1))
    expose([{ model: 'm/1', report: await monitor() }], at(2))
    const { body } = await meter.expose()
    for (const line of [
      `watched_timestamp_seconds{model="m/1"} ${at(2) / 1_000}`,
      'watched_events{model="m/1"} 20',
      'psi{model="m/1",value="score"} 0',
      'missing_ratio{model="m/1",value="spend__mean_7d"} 0.05',
      'usual_ratio{model="m/1",value="spend__count_7d"} 0.05',
      'judged_events{model="m/1"} 20',
      'alert_ratio{model="m/1"} 0.4',
      'precision_ratio{model="m/1"} 0.125',
      'recall_ratio{model="m/1"} 0.25',
      'shadow_correlation{model="m/1",shadow="m/2"} Nan',
      'shadow_difference{model="m/1",shadow="m/2"} 0.25',
    ]) {
      expect(body).toContain(`riverbank_model_${line}\n`)
    }
    expect(body).not.toContain('m/0')
    expect(body).toMatch(/riverbank_model_calibration_error\{model="m\/1"\} 0\.\d+\n/)
  })

  it('the calibration error is the distance of score and outcome, by payments', () => {
    const bins = [
      { events: 30, meanScore: 0.1, fraudShare: 0.2 },
      { events: 10, meanScore: 0.9, fraudShare: 0.4 },
    ]
    expect(calibrationError(bins)).toBeCloseTo((30 * 0.1 + 10 * 0.5) / 40, 12)
    expect(calibrationError([])).toBeNaN()
  })

  it('the monitor sets shadows beside the champion', async () => {
    const { shadows } = await monitor()
    expect(shadows).toEqual([{ shadow: 'm/2', events: 19, meanDifference: 0.25, correlation: null, failed: 1 }])
  })

  it('the monitor judges outcomes a label delay earlier, and knows no payments of another model', async () => {
    const later = await monitor({ fromMs: at(10), toMs: at(30), labelDelayMs: 10 * minuteMs })
    expect([later.events, later.outcomes.events]).toEqual([10, 20])
    expect((await monitor({ model: { name: 'm', version: '2' } })).events).toBe(0)
  })
})
