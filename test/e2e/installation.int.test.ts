import { CloudEvent, Kafka } from 'cloudevents'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { history } from '../../features/simulator/history.ts'
import { generatePayments } from '../../features/simulator/payments.ts'
import { streamEvents } from '../../scripts/simulator/stream-events.ts'
import { datasetEpochMs, scoredTypes } from '../../features/simulator/payment-events.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import type { VerifyReport } from '../../src/app/installation/lake/verify.ts'
import type { PaymentScored } from '../support/payment-scores.ts'
import { redisAvailable } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { startInstallation, type TestInstallation } from './support/installation.ts'
import { payment } from './support/payment.ts'
import { openScoreStream } from './support/score-stream.ts'

const reason = redisAvailable()
const patience = { deadlineMs: 30_000, everyMs: 50 }

interface Lag {
  readonly group: string
  readonly topic: string
  readonly committed: number | null
  readonly lag: number
}

describe.skipIf(reason !== null)(`an installation${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  let rb: TestInstallation

  beforeAll(async () => {
    rb = await startInstallation()
  })

  afterAll(() => rb.remove())

  const post = async (path: string, body: unknown) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${rb.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const get = async (path: string) => {
    const response = await fetch(`${rb.url}${path}`)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const lags = async () => (await rb.json('topics', 'lag')) as Lag[]
  const counted = async (sql: string) => {
    const { status, body } = await post('/v1/sql', { sql })
    expect(status, JSON.stringify(body)).toBe(200)
    return (body['rows'] as unknown[][])[0]?.[0]
  }
  const lettersOf = async (code: string) => {
    const { stdout } = await rb.run('dead-letters', 'list', '--json')
    const letters = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { data: { code: string; attempts: number; value: string } }).data)
    return letters.filter((letter) => letter.code === code)
  }

  test('a payment over HTTP comes back as decision, features, stream and history', async () => {
    const stream = await openScoreStream(rb.url)
    try {
      const accepted = await post('/v1/events?wait=10000', payment('p-1', { amountMinor: 4_200 }))
      expect(accepted, JSON.stringify(accepted.body)).toMatchObject({ status: 200 })
      const [result] = accepted.body['results'] as { eventId: string; score: PaymentScored }[]
      expect(result).toMatchObject({ eventId: 'p-1', score: { paymentId: 'p-1', amountMinor: 4_200 } })

      expect(await get('/v1/scores/p-1')).toEqual({ status: 200, body: result?.score })
      expect(await get('/v1/scores/p-1/explanation')).toMatchObject({
        status: 200,
        body: { eventId: 'p-1', score: result?.score.score, model: result?.score.model },
      })
      expect(await get('/v1/entities/customer/c-e2e/features')).toMatchObject({
        status: 200,
        body: { found: true, values: { customer_spend__payment_count_1d: 1, customer_spend__amount_sum_1d: 4_200 } },
      })
      await eventually(() => stream.paymentIds.includes('p-1'), { ...patience, what: 'the stream has the score' })
      const query = "SELECT count(*) FROM scores WHERE payment_id = 'p-1'"
      await eventually(async () => (await counted(query)) === 1, { ...patience, what: 'the lake has the score' })
    } finally {
      await stream.close()
    }
  })

  test('a record in binary mode is scored, and its row of the lake has the whole event', async () => {
    const { eventId: id, eventType: type, timestamp: time, data } = payment('p-binary', { customerId: 'c-binary' })
    const subject = 'c-binary'
    const { headers, value } = Kafka.binary(new CloudEvent({ id, type, time, subject, source: 'urn:sdk', data }))
    const record = { topic: names(rb.config).topics.events, key: subject, value: JSON.stringify(value) }
    await rb.log.publish([{ ...record, headers: JSON.parse(JSON.stringify(headers)) as Record<string, string> }])
    const scored = async () => (await get('/v1/scores/p-binary')).status === 200
    await eventually(scored, { ...patience, what: 'the record is scored' })
    const query =
      "SELECT count(*) FROM events WHERE event_id = 'p-binary' AND valid AND (body ->> '$.data.customerId') = customer_id"
    await eventually(async () => (await counted(query)) === 1, { ...patience, what: 'the lake has the event' })
  })

  test('what is invalid or known is refused, and leaves no trace', async () => {
    const sent = payment('p-2')
    const accepted = await post('/v1/events?wait=10000', sent)
    expect(accepted.status).toBe(200)
    const [first] = accepted.body['results'] as object[]
    const again = { status: 200, body: { results: [{ ...first, repeated: true }] } }
    expect(await post('/v1/events', sent)).toEqual(again)
    const other = await post('/v1/events', payment('p-2', { amountMinor: 1 }))
    expect(other).toMatchObject({ status: 409, body: { code: 'event_conflict' } })
    const negative = await post('/v1/events', payment('p-3', { amountMinor: -1 }))
    expect(negative).toMatchObject({ status: 422, body: { code: 'invalid_amount', eventId: 'p-3' } })
    expect((await get('/v1/scores/p-3')).status).toBe(404)
    const { body } = await get('/v1/entities/customer/c-e2e/features')
    expect(body['values']).toMatchObject({ customer_spend__payment_count_1d: 2 })
  })

  test('what is unreadable in the log waits in dead letters, and can be sent again', async () => {
    const topic = names(rb.config).topics.events
    await rb.log.publish([{ topic, key: 'c-e2e', value: 'not json' }])
    const letter = await eventually(async () => (await lettersOf('invalid_json'))[0], patience)
    expect(letter).toMatchObject({ attempts: 1, value: Buffer.from('not json').toString('base64') })
    expect(await rb.json('dead-letters', 'replay', '--code', 'invalid_json')).toMatchObject({
      replayed: 1,
      byCode: { invalid_json: 1 },
    })
    await eventually(async () => {
      const attempts = (await lettersOf('invalid_json')).map((each) => each.attempts)
      return attempts.length === 2 && attempts.includes(2)
    }, patience)
    // The letter of the second try was not replayed yet.
    expect(await rb.json('dead-letters', 'replay', '--code', 'invalid_json', '--dry-run')).toMatchObject({
      replayed: 1,
      leftOut: 1,
    })
  })

  test('a processor that is killed in the middle of its work is replaced, and each payment counts once', async () => {
    const columns = generatePayments({ limit: 6_000 })
    const before = Number(await counted('SELECT count(*) FROM scores'))
    const { topics, groups } = names(rb.config)
    const publishing = streamEvents(history(columns, { labelDelayMs: null }), (records) => rb.log.publish(records), {
      topic: topics.events,
      scoredTypes,
      partitions: rb.config.PARTITIONS,
      batchRecords: 250,
      historyFromMs: datasetEpochMs,
      inFlightMax: rb.config.PARTITIONS,
    })
    const progress = async () => {
      const [ranges, committed] = await Promise.all([
        rb.log.describeTopic(topics.events),
        rb.log.committed(groups.process, topics.events),
      ])
      const done = [...committed.values()].reduce((sum, next) => sum + next, 0)
      return { done, left: (ranges ?? []).reduce((sum, { end }) => sum + end, 0) - done }
    }
    const killedPid = rb.pidOf('process-1')
    await eventually(async () => (await progress()).done > 1_000, { ...patience, everyMs: 2 })
    process.kill(killedPid, 'SIGKILL')
    await publishing
    expect((await progress()).left, 'killed in the middle').toBeGreaterThan(500)

    await eventually(() => rb.starts('process-1') === 2, { ...patience, what: 'the processor was started again' })
    expect(rb.pidOf('process-1')).not.toBe(killedPid)
    await eventually(async () => (await progress()).left === 0, { deadlineMs: 60_000, what: 'all is processed' })
    await eventually(async () => (await lags()).every(({ lag }) => lag === 0), { deadlineMs: 30_000, everyMs: 100 })
    const scored = 'SELECT count(DISTINCT (customer_id, payment_id)) FROM scores'
    expect(Number(await counted(scored))).toBe(before + columns.length)
  })

  test('everything that was promised can be recomputed', async () => {
    const report = (await rb.json('verify')) as VerifyReport
    expect(report).toMatchObject({ ok: true, violations: 0, mismatches: 0, watermark: 'committed' })
    expect(report.invariants.I2.counts).toMatchObject({ payments: 6_003 })
    const answer = await rb.json('sql', 'SELECT count(DISTINCT (customer_id, payment_id)) AS n FROM scores')
    expect(answer).toMatchObject({ columns: [{ name: 'n', type: 'BIGINT' }], rows: [[6_003]], truncated: false })
  })

  test('SIGTERM ends everything within ten seconds, and well', async () => {
    const pids = ['process-1', 'serve-1', 'materialize-1'].map((instance) => rb.pidOf(instance))
    const startedMs = performance.now()
    rb.up.child.kill('SIGTERM')
    const { code, signal, stdout } = await rb.up.ended
    expect({ code, signal, stdout }).toEqual({ code: 0, signal: null, stdout: '' })
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})
