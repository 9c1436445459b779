import { describe, expect, test } from 'vitest'
import { readScore, ScoreEntry } from '../../../src/serve/scores/score-entry.ts'
import { dayMs } from '../../../src/base/units.ts'
import { eventually } from '../../support/wait.ts'
import {
  batchOf,
  cloudPayment,
  nowMs,
  paymentEvent,
  paymentScore,
  postJson,
  problemOf,
  resultsOf,
  rawRecord,
  scoreRecord,
  serveFixture,
} from '../support/serve-fixture.ts'

const report = {
  ...{ paymentId: 'p', customerId: 'c-1', terminalId: 't-1', amountMinor: 1250, currency: 'EUR' },
  ...{ paymentTimeMs: nowMs - 1000, kind: 'chargeback' },
}

describe('a repeat', () => {
  test('is 202 with the place of its score until there is one, then 200 with it; nothing is published again', async () => {
    const { app, log, hub } = serveFixture()
    const first = await app.request('/v1/events', postJson(paymentEvent('p/1')))
    expect([first.status, first.headers.get('location')]).toEqual([202, '/v1/scores/p%2F1?aggregateId=c-1'])
    const early = await app.request('/v1/events', postJson(cloudPayment('p/1')))
    expect([early.status, early.headers.get('location'), early.headers.get('retry-after')]).toEqual([
      ...[202, '/v1/scores/p%2F1?aggregateId=c-1', '1'],
    ])
    expect(await resultsOf(early)).toEqual([
      { eventId: 'p/1', status: 'accepted', repeated: true, partition: 0, offset: 0 },
    ])
    const waiting = app.request('/v1/events?wait=20000', postJson(paymentEvent('p/1')))
    await eventually(() => hub.waiting === 1, { deadlineMs: 5_000 })
    hub.accept(batchOf(scoreRecord(paymentScore('p/1'), 0)))
    for (const answer of [await waiting, await app.request('/v1/events', postJson(paymentEvent('p/1')))]) {
      expect(answer.status).toBe(200)
      expect(await resultsOf(answer)).toMatchObject([{ repeated: true, offset: 0, score: { paymentId: 'p/1' } }])
    }
    expect(log.records).toHaveLength(1)
  })

  test.each([
    ['another time', { timestamp: nowMs - 999 }],
    ['another amount', { data: { ...paymentEvent('p').data, amountMinor: 1251 } }],
    ['another type', { eventType: 'fraud.reported', version: 1, data: report }],
  ])('with %s is no repeat', async (_what, change) => {
    const { app, log } = serveFixture()
    await app.request('/v1/events', postJson(paymentEvent('p')))
    const response = await app.request('/v1/events?wait=20000', postJson(paymentEvent('p', change)))
    expect(response.status).toBe(409)
    await problemOf(response, 'event_conflict')
    expect(log.records).toHaveLength(1)
  })

  test.each([
    ['another sender', { metadata: { source: 'urn:other' } }],
    ['another correlation', { correlationId: 'order-7', causationId: 'click-1' }],
    ['a key that nobody reads', { data: { note: 'x', ...paymentEvent('p').data } }],
    ['its time as text', { timestamp: new Date(nowMs - 1000).toISOString() }],
  ])('with %s is one', async (_what, change) => {
    const { app, log } = serveFixture()
    await app.request('/v1/events', postJson(paymentEvent('p')))
    expect((await app.request('/v1/events', postJson(paymentEvent('p', change)))).status).toBe(202)
    expect(log.records).toHaveLength(1)
  })

  test.each(['unknown_subject', 'contradicts_subject'] as const)(
    'of a label that counts nowhere (%s) is none: the label is published again, corrected too, until it counts',
    async (outcome) => {
      const { app, log, ledger } = serveFixture()
      const label = (change = {}) =>
        app.request(
          '/v1/events',
          postJson(paymentEvent('r', { eventType: 'fraud.reported', version: 1, data: { ...report, ...change } })),
        )
      const settle = (offset: number, told: string) => {
        const data = { observedId: 'r', entities: { customer: { outcome: told } }, position: { partition: 0, offset } }
        const entry = readScore(
          rawRecord(JSON.stringify({ id: 'o', type: 'event.observed', subject: 'c-1', data }), offset),
          new Set(['payment.scored']),
        )
        if (entry === null || entry === 'unreadable' || entry instanceof ScoreEntry) throw new Error('it was observed')
        ledger.settle(entry)
      }
      const isRepeated = async (response: Response) => (await resultsOf(response))[0]?.repeated ?? false
      await label()
      settle(0, outcome)
      expect(await isRepeated(await label()), 'the same once more').toBe(false)
      expect(await isRepeated(await label()), 'while nobody knows what came of it').toBe(true)
      settle(1, outcome)
      // Told late, of a record that is not the last one any more.
      settle(0, outcome)
      expect(await isRepeated(await label({ terminalId: 't-2' })), 'corrected').toBe(false)
      settle(1, outcome)
      settle(2, 'applied')
      expect(await isRepeated(await label({ terminalId: 't-2' })), 'it counts').toBe(true)
      expect((await label()).status, 'it says something else').toBe(409)
      expect(log.records).toHaveLength(3)
    },
  )

  test('of an event that gets no score is 200', async () => {
    const { app } = serveFixture()
    const event = paymentEvent('r', { eventType: 'fraud.reported', version: 1, data: report })
    const [first, again] = [1, 2].map(() => app.request('/v1/events', postJson(event)))
    expect([(await first!).status, (await again!).status].toSorted()).toEqual([200, 202])
  })

  test.each([
    [
      'in binary mode',
      (id: string) => {
        const { data, ...attributes } = cloudPayment(id)
        const headers = Object.entries(attributes).map(([name, of]): [string, string] => [`ce_${name}`, of])
        return { value: data, headers: Object.fromEntries([...headers, ['content-type', 'application/json']]) }
      },
    ],
    [
      'of history that is sent to the log',
      (id: string) => {
        const time = new Date(nowMs - 200 * dayMs).toISOString()
        const headers: Record<string, string> = { 'riverbank-history-from': time }
        return { value: cloudPayment(id, { time }), headers }
      },
    ],
  ])('of what the log holds is one: %s', async (_what, spelled) => {
    const { app, log, ledger } = serveFixture()
    const { value, headers } = spelled('p')
    ledger.accept(batchOf({ ...rawRecord(JSON.stringify(value), 0), topic: 'payments.events', headers }))
    const again = await app.request('/v1/events', postJson(paymentEvent('p')))
    const isSame = headers['riverbank-history-from'] === undefined
    expect([again.status, log.records.length]).toEqual([isSame ? 202 : 409, 0])
  })

  test('that another process published meanwhile is found when the own one is read', async () => {
    const { app, log, ledger } = serveFixture()
    const append = log.onAppend
    const before = (id: string, amountMinor: number) => {
      const data = { ...paymentEvent(id).data, amountMinor }
      const value = JSON.stringify(cloudPayment(id, { data }))
      log.onAppend = (records, positions) => {
        const record = { ...rawRecord(value, positions[0]!.offset - 0.5), topic: 'payments.events' }
        ledger.accept(batchOf(record))
        append(records, positions)
      }
    }
    before('p-1', 1250)
    const same = await app.request('/v1/events', postJson(paymentEvent('p-1')))
    expect([same.status, await resultsOf(same)]).toMatchObject([202, [{ repeated: true }]])
    before('p-2', 1251)
    const other = await app.request('/v1/events?wait=20000', postJson(paymentEvent('p-2')))
    expect(other.status).toBe(409)
    await problemOf(other, 'event_conflict')
  })
})
