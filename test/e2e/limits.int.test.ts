import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { names } from '../../src/app/installation/settings/config.ts'
import type { VerifyReport } from '../../src/app/installation/lake/verify.ts'
import { freePort } from '../../src/edges/redis/server/server.ts'
import { encodeEvent } from '../../src/events/event.ts'
import { redisAvailable } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { startInstallation, type TestInstallation } from './support/installation.ts'
import { payment } from './support/payment.ts'

const reason = redisAvailable()
const patience = { deadlineMs: 60_000, everyMs: 100 }
const dayMs = 86_400_000
/** What the shipped definitions hold of a customer: tiles of one hop, and values of a distinct count. */
const limits = { tiles: 4_096, distinct: 64 }

/** One payment in every second, each at the next of 70 terminals: past the limit of tiles, and past the cap. */
const payments = limits.tiles + 104
const terminals = 70
const nowMs = Date.now()
const timeOf = (n: number) => nowMs - (payments - n) * 1_000
/** Payment n has n earlier ones in n tiles; one above the limit drops the first. */
const expected = {
  truncated: Array.from({ length: payments }, (_, n) => n).filter((n) => n > limits.tiles),
  saturated: Array.from({ length: payments }, (_, n) => n).filter((n) => n >= limits.distinct && n <= limits.tiles),
}
const spend = ['payment_count', 'amount_sum', 'amount_mean'].flatMap((aggregate) =>
  ['1d', '7d', '30d'].map((window) => `customer_spend__${aggregate}_${window}`),
)
const habits = ['amount_stddev_30d', 'payment_seconds_since_last_30d'].map((name) => `customer_habits__${name}`)
const reach = ['1d', '7d'].map((window) => `customer_reach__terminal_distinct_${window}`)
const flagsOf = (flag: string, all: readonly string[]) => Object.fromEntries(all.map((name) => [name, flag]))
const truncated = flagsOf('truncated', [...spend, ...habits, ...reach])
const saturated = flagsOf('saturated', reach)

describe.skipIf(reason !== null)(`entities at their limits${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let rb: TestInstallation
  /** The processor's port; the materializer has the next one. */
  let port: number

  beforeAll(async () => {
    port = await freePort()
    rb = await startInstallation({ RIVERBANK_METRICS_PORT: String(port), RIVERBANK_MONITOR_MS: '500' })
    const hot = Array.from({ length: payments }, (_, n) =>
      paid('c-hot', `h-${n}`, timeOf(n), { terminalId: `t-${n % terminals}`, amountMinor: 100 + n }),
    )
    for (let at = 0; at < hot.length; at += 500) await rb.log.publish(hot.slice(at, at + 500))
    await rb.log.publish([
      paid('c-late', 'l-0', nowMs - 1_000, { terminalId: 't-late' }),
      paid('c-late', 'l-1', nowMs - 60 * dayMs, { terminalId: 't-late' }),
      paid('c-late', 'l-2', nowMs - 500, { terminalId: 't-late' }),
    ])
    await eventually(async () => (await rowsOf('SELECT count(*) FROM scores'))[0]?.[0] === payments + 3, patience)
  })
  afterAll(() => rb.remove())

  function paid(customerId: string, id: string, timeMs: number, data: Readonly<Record<string, unknown>>) {
    const event = payment(id, { customerId, ...data })
    const value = encodeEvent({
      ...event,
      timestamp: timeMs,
      aggregateId: customerId,
      metadata: { source: 'urn:test' },
    })
    return { topic: names(rb.config).topics.events, key: customerId, value }
  }
  const post = async (path: string, body: unknown) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${rb.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    expect(response.status, path).toBe(200)
    return (await response.json()) as Record<string, unknown>
  }
  const get = async (path: string) => {
    const response = await fetch(`${rb.url}${path}`)
    expect(response.status, path).toBe(200)
    return (await response.json()) as Record<string, unknown>
  }
  const rowsOf = async (sql: string) => (await post('/v1/sql', { sql }))['rows'] as unknown[][]
  const metric = (name: string, ...labels: string[]) => metricAt(port, name, ...labels)
  const metricAt = async (at: number, name: string, ...labels: string[]) => {
    const text = await (await fetch(`http://127.0.0.1:${at}/metrics`)).text()
    const line = text.split('\n').find((each) => each.startsWith(name) && labels.every((label) => each.includes(label)))
    return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1))
  }

  test('the lake tells of every score which features were truncated and which saturated', async () => {
    const sql = `SELECT flags, count(*), min(payment_time_ms), max(payment_time_ms) FROM scores
      WHERE customer_id = 'c-hot' GROUP BY 1 ORDER BY 3`
    const found = (await rowsOf(sql)).map(([flags, ...rest]) => [
      typeof flags === 'string' ? (JSON.parse(flags) as unknown) : flags,
      ...rest.map(Number),
    ])
    const between = (all: readonly number[]) => [all.length, timeOf(all[0] ?? NaN), timeOf(all.at(-1) ?? NaN)]
    expect(found).toEqual([
      [null, limits.distinct, timeOf(0), timeOf(limits.distinct - 1)],
      [saturated, ...between(expected.saturated)],
      [truncated, ...between(expected.truncated)],
    ])
    const values = await rowsOf(`SELECT DISTINCT customer_spend__payment_count_30d, customer_reach__terminal_distinct_1d
      FROM scores WHERE json_extract_string(flags, '$.customer_spend__payment_count_30d') = 'truncated'`)
    expect(values.map((row) => row.map(Number))).toEqual([[limits.tiles, limits.distinct]])
  })

  test('a score is the same from the stream of the last ones and from the lake, flags included', async () => {
    for (const [n, flags] of [
      [0, undefined],
      [limits.distinct, saturated],
      [payments - 1, truncated],
    ] as const) {
      const score = await get(`/v1/scores/h-${n}`)
      expect(score, `h-${n}`).toMatchObject({ paymentId: `h-${n}`, customerId: 'c-hot' })
      expect(score['flags'], `h-${n}`).toEqual(flags)
    }
  })

  test('over HTTP flags stand with the values, and in the answer for clients of Feast they do not', async () => {
    const one = await get('/v1/entities/customer/c-hot/features')
    expect(one['flags']).toEqual(truncated)
    expect(one['values']).toMatchObject({ customer_spend__payment_count_1d: limits.tiles, [reach[0] ?? '']: 64 })
    const body = { features: [reach[0], 'customer_spend:payment_count_5m'], entities: { customer: ['c-new', 'c-hot'] } }
    const many = (await post('/v1/features', body))['results'] as { flags?: unknown }[]
    expect(many.map(({ flags }) => flags)).toEqual([undefined, [null, 'truncated'], undefined])
    const feast = (await post('/get-online-features', body))['results'] as object[]
    expect(feast.filter((result) => 'flags' in result)).toEqual([])
  })

  test('what came too late is scored, counted by no window, and known as too late', async () => {
    const columns = ['customer_outcome', 'terminal_outcome', 'customer_terminal_outcome']
    const sql = `SELECT payment_id, ${columns.join(', ')}, customer_spend__payment_count_30d FROM scores
      WHERE customer_id = 'c-late' ORDER BY log_offset`
    expect((await rowsOf(sql)).map((row) => [...row.slice(0, 4), Number(row[4])])).toEqual([
      ['l-0', 'applied', 'applied', 'applied', 0],
      ['l-1', 'too_late', 'too_late', 'too_late', 0],
      ['l-2', 'applied', 'applied', 'applied', 1],
    ])
  })

  test('the metrics count it all', async () => {
    const flagged = (flag: string) => metric('riverbank_process_flagged_total', `flag="${flag}"`)
    expect(await flagged('truncated')).toBe(expected.truncated.length * Object.keys(truncated).length)
    expect(await flagged('saturated')).toBe(expected.saturated.length * Object.keys(saturated).length)
    expect(await flagged('incomplete')).toBeNull()
    for (const entity of ['customer', 'terminal', 'customer_terminal']) {
      expect(await metric('riverbank_process_too_late_total', `entity="${entity}"`), entity).toBe(1)
    }
    expect(await metric('riverbank_process_events_total', 'outcome="scored"')).toBe(payments + 3)
    const bytes = (part: string, ...labels: string[]) =>
      metric(`riverbank_process_state_bytes_${part}`, 'entity="customer"', ...labels)
    // The hot customer's state has thousands of tiles; each write of it is seen.
    expect(Number(await bytes('count')) - Number(await bytes('bucket', 'le="32768"'))).toBeGreaterThan(0)
    expect(Number(await bytes('sum')) / Number(await bytes('count'))).toBeGreaterThan(1_024)
    expect(await bytes('bucket', 'le="1048576"')).toBe(await bytes('count'))
  })

  test('the materializer says how far these payments are from what the champion learned', async () => {
    const watched = (name: string, ...labels: string[]) => metricAt(port + 1, `riverbank_model_${name}`, ...labels)
    // Without the one of 60 days ago.
    await eventually(async () => (await watched('watched_events')) === payments + 2, patience)
    // One customer with thousands of payments a day is nobody it ever saw.
    expect(await watched('psi', 'value="customer_payments_1d"')).toBeGreaterThan(1)
    expect(await watched('missing_ratio', 'value="customer_payments_1d"')).toBe(0)
  })

  test('I3: and every value can be recomputed, truncated, saturated and too late ones too', async () => {
    const report = (await rb.json('verify')) as VerifyReport
    expect(report).toMatchObject({ ok: true, violations: 0, mismatches: 0, watermark: 'committed' })
    expect(report.invariants.I3.counts).toMatchObject({ 'score rows': payments + 3 })
    expect(report.invariants.I3.counts['incomplete values'] ?? 0).toBe(0)
  })
})
