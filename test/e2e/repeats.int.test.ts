import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startInstallation, type TestInstallation } from './support/installation.ts'
import { payment } from './support/payment.ts'
import { startRiverbank } from './support/program.ts'
import { kafkaMissing, startTestKafka, type TestKafka } from '../support/kafka-broker.ts'
import { redisAvailable } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'

const patience = { deadlineMs: 60_000 }

interface Answer {
  readonly status: number
  readonly location: string | null
  readonly body: {
    readonly code?: string
    readonly results?: readonly Result[]
    readonly aggregateIds?: readonly string[]
  }
}
interface Result {
  readonly status: string
  readonly repeated?: true
  readonly partition?: number
  readonly offset?: number
  readonly score?: { readonly paymentId: string; readonly customerId: string }
  readonly problem?: { readonly code: string }
}

interface Serve {
  readonly url: string
  stop(): Promise<void>
}

/** GET without a body. */
async function post(url: string, path: string, body?: unknown): Promise<Answer> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(`${url}${path}`, body === undefined ? {} : init)
  const { status, headers } = response
  return { status, location: headers.get('location'), body: (await response.json()) as Answer['body'] }
}

/** Another event under the same id. */
function another(event: ReturnType<typeof payment>) {
  return { ...event, data: { ...event.data, amountMinor: event.data.amountMinor + 1 } }
}

describe.each([
  ['redis', redisAvailable()],
  ['kafka', redisAvailable() ?? kafkaMissing()],
] as const)('two serve processes over %s', (driver, reason) => {
  describe.skipIf(reason !== null)(reason ?? 'are one service', () => {
    let kafka: TestKafka | null = null
    let rb: TestInstallation
    let second: Serve
    let urls: readonly string[]
    let settings: Readonly<Record<string, string>>

    beforeAll(async () => {
      if (driver === 'kafka') kafka = await startTestKafka()
      const log = kafka === null ? {} : { RIVERBANK_LOG: 'kafka', KAFKA_BROKERS: kafka.brokers }
      rb = await startInstallation(log)
      settings = {
        ...log,
        REDIS_URL: rb.config.REDIS_URL,
        RIVERBANK_DATA_DIR: rb.config.DATA_DIR,
        RIVERBANK_HTTP_PORT: '0',
      }
      second = await startServe()
      urls = [rb.url, second.url]
    }, 180_000)

    async function startServe(): Promise<Serve> {
      const running = startRiverbank(['serve'], settings)
      const listening = () => /"url":"(http:[^"]+)"/.exec(running.stderr())?.[1]
      const url = await eventually(listening, { ...patience, what: 'another serve process listens' })
      const stop = async () => {
        running.child.kill('SIGTERM')
        await running.ended
      }
      return { url: url ?? '', stop }
    }

    afterAll(async () => {
      await second.stop()
      await rb.remove()
      await kafka?.remove()
    }, 60_000)

    const ask = (at: number, path: string, body?: unknown) => post(urls[at % 2] ?? '', path, body)

    test('what one has taken, the other answers as the first did, at once', async () => {
      for (let n = 0; n < 20; n += 1) {
        const event = payment(`r-${n}`)
        const first = await ask(n, '/v1/events', event)
        const place = first.body.results?.[0]
        expect(first).toMatchObject({ status: 202, location: `/v1/scores/r-${n}?aggregateId=c-e2e` })
        const again = await ask(n + 1, '/v1/events?wait=20000', event)
        expect(again, JSON.stringify(again)).toMatchObject({
          status: 200,
          body: { results: [{ ...place, repeated: true }] },
        })
        const other = await ask(n + 1, '/v1/events', another(event))
        expect(other).toMatchObject({ status: 409, body: { code: 'event_conflict' } })
        expect((await ask(n + 1, first.location ?? '')).status).toBe(200)
      }
    })

    test('of many at the same time one is first, and every answer names that one', async () => {
      for (let n = 0; n < 5; n += 1) {
        const event = payment(`race-${n}`)
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_, i) => {
            const own = i < 6 ? event : another(event)
            return ask(i, '/v1/events?wait=20000', own).then((answer) => ({ i, answer }))
          }),
        )
        const places = answers
          .flatMap(({ answer }) => answer.body.results ?? [])
          .map(({ partition, offset }) => `${partition}:${offset}`)
        expect(new Set(places).size, JSON.stringify(answers)).toBe(1)
        const told = answers.map(({ i, answer }) => [i < 6 ? 'a' : 'b', answer.status] as const)
        const winners = new Set(told.filter(([, status]) => status === 200).map(([kind]) => kind))
        expect(winners.size).toBe(1)
        for (const [kind, status] of told) expect(status, JSON.stringify(answers)).toBe(winners.has(kind) ? 200 : 409)
      }
    })

    test('two customers may use one id, and both processes refuse a request that does not say which', async () => {
      const mine = payment('shared')
      const other = { ...mine, aggregateId: 'c-other', data: { ...mine.data, customerId: 'c-other' } }
      expect((await ask(0, '/v1/events?wait=20000', mine)).body.results?.[0]?.score?.customerId).toBe('c-e2e')
      expect((await ask(1, '/v1/events?wait=20000', other)).body.results?.[0]?.score?.customerId).toBe('c-other')
      for (const at of [0, 1]) {
        await eventually(async () => (await ask(at, '/v1/scores/shared')).status === 409, patience)
        expect((await ask(at, '/v1/scores/shared')).body).toMatchObject({
          code: 'ambiguous_event_id',
          aggregateIds: ['c-e2e', 'c-other'],
        })
        expect((await ask(at, '/v1/scores/shared?aggregateId=c-other')).body).toMatchObject({ customerId: 'c-other' })
      }
    })

    test('a batch is answered item by item', async () => {
      const known = payment('b-1')
      const unknown = payment('b-2')
      await ask(0, '/v1/events?wait=20000', known)
      const batch = [known, another(known), unknown, unknown]
      const { status, body } = await ask(1, '/v1/events?wait=20000', batch)
      expect(status).toBe(207)
      const told = body.results?.map((result) => [result.problem?.code ?? result.score?.paymentId, result.repeated])
      expect(told).toEqual([
        ['b-1', true],
        ['event_conflict', undefined],
        ['b-2', undefined],
        ['b-2', true],
      ])
    })

    test('a process that starts later knows what was before it', async () => {
      const event = payment('late')
      const first = await ask(0, '/v1/events?wait=20000', event)
      const third = await startServe()
      try {
        const again = await eventually(async () => {
          const answer = await post(third.url, '/v1/events', event)
          return answer.status === 200 ? answer : null
        }, patience)
        expect(again?.body.results).toEqual([{ ...first.body.results?.[0], repeated: true }])
        expect(await post(third.url, '/v1/events', another(event))).toMatchObject({ body: { code: 'event_conflict' } })
      } finally {
        await third.stop()
      }
    })
  })
})
