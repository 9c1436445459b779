import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { partitionOf } from '../../../src/events/partitioner.ts'
import { openRedisEventLog, type RedisEventLog } from '../../../src/edges/redis/log/event-log.ts'
import type { Subscription } from '../../../src/ports/log.ts'
import { listen, listenTimeouts, type Listening } from '../../../src/serve/http/listen.ts'
import { recentScores } from '../../../src/serve/scores/score-tail.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { eventually } from '../../support/wait.ts'
import { paymentEvent, paymentScore, postJson, problemOf, scoreRecord, serveFixture } from '../support/serve-fixture.ts'

const reason = redisAvailable()
const eventsTopic = 'payments.events'
const scoresTopic = 'payments.scores'
const partitions = 2
const within = { deadlineMs: 10_000 }

interface Serving {
  readonly url: string
  stop(): Promise<void>
}

describe.skipIf(reason !== null)(`serving over the redis log${reason === null ? '' : ` (${reason})`}`, () => {
  let redis: TestRedis
  let log: RedisEventLog
  let scorer: Subscription

  beforeAll(async () => {
    redis = await startTestRedis({ persistence: 'always' })
    log = await openRedisEventLog({ url: redis.url, namespace: 'test', commandTimeoutMs: 2_000 })
    const limits = { retentionMs: 3_600_000, retentionBytes: 64_000_000, maxRecordBytes: 1_000_000 }
    for (const topic of [eventsTopic, scoresTopic]) {
      await log.createTopic({ topic, partitions, replicationFactor: 1, ...limits })
    }
    scorer = await scoreEverything()
  })

  afterAll(async () => {
    await scorer.stop()
    await log.close()
    await redis.stop()
  })

  /** Stands for the processor: every payment gets a score, in the partition of its event. */
  function scoreEverything(): Promise<Subscription> {
    const options = { topic: eventsTopic, from: 'end', maxRecords: 100, maxWaitMs: 20 } as const
    return log.tail(options, async ({ records, partition }) => {
      await log.publish(
        records.map((record) => {
          const event = JSON.parse(new TextDecoder().decode(record.value)) as { id: string; subject: string }
          const score = paymentScore(event.id, { customerId: event.subject })
          return { topic: scoresTopic, key: event.subject, partition, value: scoreRecord(score, 0).value }
        }),
      )
    })
  }

  /** One process of the role, as the composition root wires it. */
  async function startServing(): Promise<Serving> {
    const recent = await recentScores(log, { topic: scoresTopic, records: 1_000 })
    const { app, hub, deps } = serveFixture({ deps: { log }, hub: { recent } })
    const tailed = { topic: scoresTopic, from: recent.from, maxRecords: 100, maxWaitMs: 20 }
    const tail = await log.tail(tailed, async (batch) => void hub.accept(batch))
    const listening: Listening = await listen({
      app,
      host: '127.0.0.1',
      port: 0,
      hasApiKey: false,
      drainMs: 2_000,
      endStreams: () => hub.close(),
      logger: deps.logger,
      timeouts: listenTimeouts,
    })
    return {
      url: listening.url,
      stop: async () => {
        await listening.stop()
        await tail.stop()
      },
    }
  }

  /** Reads lines of the stream until it has `count` scores; answers their payments and the last id. */
  async function readScores(url: string, from: string | null, count: number) {
    const abort = new AbortController()
    const headers = { accept: 'application/x-ndjson', ...(from === null ? {} : { 'last-event-id': from }) }
    const response = await fetch(`${url}/v1/score-stream`, { headers, signal: abort.signal })
    const seen: { event: string; id: string; data: { data: { paymentId: string } } }[] = []
    const done = (async () => {
      let text = ''
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        text += new TextDecoder().decode(chunk)
        const lines = text.split('\n')
        text = lines.pop() ?? ''
        for (const line of lines) seen.push(JSON.parse(line) as (typeof seen)[number])
        if (seen.length >= count) break
      }
      abort.abort()
      return { payments: seen.map(({ data }) => data.data.paymentId), id: seen.at(-1)?.id ?? '' }
    })()
    return done
  }

  const customers = ['c-1', 'c-2', 'c-3', 'c-4']
  const event = (id: string, customerId: string) =>
    paymentEvent(id, { aggregateId: customerId, data: { ...paymentEvent(id).data, customerId } })

  test('an event is in the partition of its customer, and its decision comes back with the answer', async () => {
    const { url, stop } = await startServing()
    const ids = customers.map((customerId, n) => [`w-${n}`, customerId] as const)
    expect(new Set(customers.map((customerId) => partitionOf(customerId, partitions))).size).toBe(partitions)
    const batch = ids.map(([id, customerId]) => event(id, customerId))
    const response = await fetch(`${url}/v1/events?wait=8000`, postJson(batch))
    expect(response.status).toBe(200)
    const { results } = (await response.json()) as { results: { partition: number; score: { paymentId: string } }[] }
    expect(results.map(({ partition, score }) => [partition, score.paymentId])).toEqual(
      ids.map(([id, customerId]) => [partitionOf(customerId, partitions), id]),
    )
    expect(((await (await fetch(`${url}/v1/scores/w-0`)).json()) as { customerId: string }).customerId).toBe('c-1')
    await stop()
  })

  test('a stream goes on at another process, with nothing missing and nothing twice', async () => {
    const first = await startServing()
    const reading = readScores(first.url, null, 2)
    const send = async (url: string, from: number, to: number) => {
      for (let n = from; n < to; n += 1) {
        const body = event(`s-${n}`, customers[n % customers.length]!)
        expect((await fetch(`${url}/v1/events?wait=8000`, postJson(body))).status).toBe(200)
      }
    }
    await send(first.url, 0, 2)
    const { payments, id } = await reading
    expect(payments).toEqual(['s-0', 's-1'])
    await send(first.url, 2, 6)
    await first.stop()
    const second = await startServing()
    await send(second.url, 6, 8)
    const rest = await readScores(second.url, id, 6)
    expect(rest.payments.toSorted()).toEqual(['s-2', 's-3', 's-4', 's-5', 's-6', 's-7'])
    await second.stop()
  })

  test('without the log nothing is accepted, and with it back everything is', async () => {
    const { url, stop } = await startServing()
    await redis.kill()
    const refused = await fetch(`${url}/v1/events`, postJson(event('d-1', 'c-1')))
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    await problemOf(refused, 'log_unavailable')
    await redis.restart()
    const send = async () => (await fetch(`${url}/v1/events?wait=1000`, postJson(event('d-1', 'c-1')))).status
    await eventually(async () => (await send()) === 200, within)
    await stop()
  })
})
