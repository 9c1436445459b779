import { describe, expect, test } from 'vitest'
import { PartitionCursor } from '../../../src/serve/scores/partition-cursor.ts'
import { newlineDelimitedJson } from '../../../src/serve/scores/score-frames.ts'
import type { ScoreHub } from '../../../src/serve/scores/score-hub.ts'
import type { ScoreFilter } from '../../../src/serve/scores/score-subscriber.ts'
import { eventually } from '../../support/wait.ts'
import {
  batchOf,
  foundScore,
  paymentScore,
  problemOf,
  rawRecord,
  scoreRecord,
  serveFixture,
} from '../support/serve-fixture.ts'

const everything: ScoreFilter = { decisions: null, aggregateIds: null }
const scored = (n: number, partition = 0) => scoreRecord(paymentScore(`p-${partition}-${n}`), n, partition)

const paid = (eventId: string) => ({ aggregateId: 'c-1', eventId })

interface Frame {
  readonly event: string
  readonly id?: string
  readonly data?: { readonly data?: { readonly paymentId: string }; readonly firstOffsets?: object }
}

function follow(hub: ScoreHub, from: string | null = null, filter: ScoreFilter = everything) {
  const cursor = from === null ? null : PartitionCursor.parse(from)
  const subscription = hub.subscribe(filter, cursor, newlineDelimitedJson, () => undefined)
  if (subscription === null) throw new Error('no place')
  return {
    close: subscription.close,
    read: async (): Promise<Frame[] | null> => {
      const text = await subscription.read()
      if (text === null) return null
      return text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Frame)
    },
  }
}
const startingAt = (...positions: [number, number][]) => ({ from: new Map(positions), live: new Map(positions) })
const ids = (frames: Frame[] | null) => frames?.map((frame) => frame.data?.data?.paymentId ?? frame.event)

describe('recent scores', () => {
  test('are found until newer ones have pushed them out', async () => {
    const { app, hub } = serveFixture({ hub: { capacity: 3 } })
    for (let n = 0; n < 4; n += 1) hub.accept(batchOf(scored(n)))
    expect([0, 1, 2, 3].map((n) => hub.find(paid(`p-0-${n}`))?.eventId)).toEqual([undefined, 'p-0-1', 'p-0-2', 'p-0-3'])
    const response = await app.request('/v1/scores/p-0-3')
    expect([response.status, await response.json()]).toEqual([200, paymentScore('p-0-3')])
    await problemOf(await app.request('/v1/scores/p-0-0'), 'score_not_found')
  })

  test('never take more bytes than they may: when they are large, fewer are held', async () => {
    const bytesMax = 24_000
    const { hub, deps } = serveFixture({ hub: { capacity: 100, bytesMax } })
    const held = async () => {
      const { body } = await deps.meter.expose()
      return Number(/^riverbank_serve_recent_scores_bytes (\d+)$/m.exec(body)?.[1])
    }
    const large = (n: number) => scoreRecord({ ...paymentScore(`p-0-${n}`), service: 'x'.repeat(4_000) }, n)
    for (let n = 0; n < 20; n += 1) {
      hub.accept(batchOf(n < 10 ? scored(n) : large(n)))
      expect(await held()).toBeLessThanOrEqual(bytesMax)
    }
    expect(
      [0, 9, 15].map((n) => hub.find(paid(`p-0-${n}`))),
      'made room',
    ).toEqual([null, null, null])
    expect([16, 17, 18, 19].map((n) => hub.find(paid(`p-0-${n}`))?.eventId)).not.toContain(undefined)
    const stream = follow(hub, '0:0')
    expect(ids(await stream.read())).toEqual(['gap', 'p-0-16', 'p-0-17', 'p-0-18', 'p-0-19'])
    // One that is larger than all of them together is still the newest.
    hub.accept(batchOf(scoreRecord({ ...paymentScore('p-0-20'), service: 'x'.repeat(bytesMax) }, 20)))
    expect(['p-0-19', 'p-0-20'].map((id) => hub.find(paid(id))?.eventId)).toEqual([undefined, 'p-0-20'])
  })

  test('are copies: they keep nothing of what was read with them', () => {
    const { hub } = serveFixture()
    const { value, ...record } = scored(1)
    const reply = new Uint8Array(100_000)
    reply.set(value, 50_000)
    hub.accept(batchOf({ ...record, value: reply.subarray(50_000, 50_000 + value.length) }))
    reply.fill(0)
    expect(hub.find(paid('p-0-1'))).toEqual(foundScore(paymentScore('p-0-1')))
  })

  test('older ones are looked up in the lake', async () => {
    const scores = async (id: string) => (id === 'p-old' ? [foundScore(paymentScore(id))] : [])
    const { app } = serveFixture({ deps: { lake: { scores, event: async () => null } } })
    expect(await (await app.request('/v1/scores/p-old')).json()).toEqual(paymentScore('p-old'))
    await problemOf(await app.request('/v1/scores/p-new'), 'score_not_found')
    await problemOf(await app.request(`/v1/scores/${'x'.repeat(257)}`), 'invalid_parameter')
  })

  test('other events are passed over, and what is no event is counted', async () => {
    const { hub, deps } = serveFixture()
    const observed = JSON.stringify({ id: 'o', type: 'event.observed', data: {} })
    const bad = ['{', 'null', '[]', JSON.stringify({ id: 's', type: 'payment.scored', data: { paymentId: 1 } })]
    hub.accept(batchOf(...[observed, ...bad].map((text, offset) => rawRecord(text, offset)), scored(5)))
    expect(hub.find(paid('p-0-5'))).not.toBeNull()
    expect((await deps.meter.expose()).body).toMatch(/^riverbank_stream_unreadable_total 4$/m)
  })

  test("one that begins like a score and is cut off is nobody's score, and no part of a stream", async () => {
    const { hub } = serveFixture()
    const whole = new TextDecoder().decode(scored(1).value)
    const stream = follow(hub)
    const waiting = hub.waitFor(paid('p-0-1'), AbortSignal.timeout(5_000))
    hub.accept(batchOf(rawRecord(whole.slice(0, -1), 1), scored(2)))
    expect(hub.find(paid('p-0-1'))).toBeNull()
    expect(ids(await stream.read())).toEqual(['p-0-2'])
    // Written once more, as it should be, it is found and answers who waited.
    hub.accept(batchOf(scored(1), rawRecord(whole.replace('score:p-0-1', 'again:p-0-1'), 3)))
    expect((await waiting)?.eventId).toBe('p-0-1')
  })
})

describe('a stream', () => {
  test('begins now, keeps the order of each partition, and tells where it is in all of them', async () => {
    const { hub } = serveFixture({
      hub: {
        recent: startingAt([0, 0], [1, 7]),
      },
    })
    hub.accept(batchOf(scored(0)))
    const stream = follow(hub)
    hub.accept(batchOf(scored(1), scored(2)))
    hub.accept(batchOf(scored(7, 1)))
    const frames = await stream.read()
    expect(ids(frames)).toEqual(['p-0-1', 'p-0-2', 'p-1-7'])
    expect(frames?.map(({ id }) => id)).toEqual(['0:2,1:7', '0:3,1:7', '0:3,1:8'])
  })

  test('goes on after its id, at this process or at another that saw the partitions in another order', async () => {
    const recent = startingAt([0, 0], [1, 0])
    const orders = [
      [scored(0), scored(0, 1), scored(1), scored(1, 1)],
      [scored(0, 1), scored(1, 1), scored(0), scored(1)],
    ]
    const first = serveFixture({ hub: { recent } }).hub
    const stream = follow(first)
    first.accept(batchOf(orders[0]![0]!))
    first.accept(batchOf(orders[0]![1]!))
    const last = (await stream.read())!.at(-1)!.id!
    for (const order of orders) {
      const { hub } = serveFixture({ hub: { recent } })
      for (const record of order) hub.accept(batchOf(record))
      expect(ids(await follow(hub, last).read())?.toSorted()).toEqual(['p-0-1', 'p-1-1'])
    }
  })

  test('without an id has no history, also while the hub is still reading it again', async () => {
    const { hub } = serveFixture({ hub: { recent: { from: new Map([[0, 0]]), live: new Map([[0, 2]]) } } })
    const [fresh, back] = [follow(hub), follow(hub, '0:1')]
    hub.accept(batchOf(scored(0), scored(1), scored(2)))
    expect(ids(await fresh.read())).toEqual(['p-0-2'])
    expect(ids(await back.read())).toEqual(['p-0-1', 'p-0-2'])
    expect(hub.find(paid('p-0-0'))).not.toBeNull()
  })

  test('says gap when its id is older than what is held, and not when it is not', async () => {
    const { hub } = serveFixture({ hub: { capacity: 3 } })
    for (let n = 0; n < 5; n += 1) hub.accept(batchOf(scored(n)))
    const gap = (await follow(hub, '0:1').read())!
    expect(ids(gap)).toEqual(['gap', 'p-0-2', 'p-0-3', 'p-0-4'])
    expect(gap[0]?.data?.firstOffsets).toEqual({ '0': 2 })
    expect(ids(await follow(hub, '0:2').read())).toEqual(['p-0-2', 'p-0-3', 'p-0-4'])
    expect(ids(await follow(hub, '0:4').read())).toEqual(['p-0-4'])
  })

  test('sees a copy of a score only once', async () => {
    const { hub } = serveFixture()
    const stream = follow(hub)
    hub.accept(batchOf(scored(0), scoreRecord(paymentScore('p-0-0'), 1), scored(2)))
    expect(ids(await stream.read())).toEqual(['p-0-0', 'p-0-2'])
  })

  test('has only what its filter lets through', async () => {
    const { hub } = serveFixture()
    const blocked = follow(hub, null, { decisions: new Set(['block']), aggregateIds: null })
    const customer = follow(hub, null, { decisions: null, aggregateIds: new Set(['c-2']) })
    const scores = [
      paymentScore('a'),
      paymentScore('b', { decision: 'block' }),
      paymentScore('c', { customerId: 'c-2' }),
    ]
    hub.accept(batchOf(...scores.map((score, offset) => scoreRecord(score, offset))))
    expect(ids(await blocked.read())).toEqual(['b'])
    expect(ids(await customer.read())).toEqual(['c'])
  })

  test('that waits gets a heartbeat, whose id is past what its filter left out', async () => {
    const { hub } = serveFixture({ hub: { heartbeatMs: 30 } })
    const stream = follow(hub, null, { decisions: new Set(['block']), aggregateIds: null })
    const next = stream.read()
    hub.accept(batchOf(scored(0), scored(1)))
    expect(await next).toEqual([{ event: 'heartbeat', id: '0:2' }])
  })

  test('is written in pieces of bounded size', async () => {
    const { hub } = serveFixture({ hub: { chunkChars: 1 } })
    const stream = follow(hub)
    hub.accept(batchOf(scored(0), scored(1)))
    expect(ids(await stream.read())).toEqual(['p-0-0'])
    expect(ids(await stream.read())).toEqual(['p-0-1'])
  })

  test('that has stopped reading is cut off and counted: overflow comes last, and then its place is free', async () => {
    const { hub, deps } = serveFixture({ hub: { lagMax: 3, stallMs: 0 } })
    const slow = follow(hub)
    const quick = follow(hub)
    for (let n = 0; n < 5; n += 1) {
      hub.accept(batchOf(scored(n)))
      expect(ids(await quick.read())).toEqual([`p-0-${n}`])
    }
    expect(await slow.read()).toEqual([{ event: 'overflow', data: { behind: 5 } }])
    expect([await slow.read(), hub.subscribers]).toEqual([null, 2])
    slow.close()
    expect(hub.subscribers).toBe(1)
    expect((await deps.meter.expose()).body).toMatch(/^riverbank_stream_overflows_total 1$/m)
  })

  test('that does not even take its last frame gives its place back in time', async () => {
    const { hub } = serveFixture({ hub: { lagMax: 3, stallMs: 0, overflowGraceMs: 20 } })
    const slow = follow(hub)
    for (let n = 0; n < 5; n += 1) hub.accept(batchOf(scored(n)))
    await eventually(() => hub.subscribers === 0, { deadlineMs: 5_000 })
    expect(await slow.read()).toBeNull()
  })

  test('may be behind for a moment, but not by more than the ring', async () => {
    const { hub } = serveFixture({ hub: { lagMax: 3, stallMs: 60_000, capacity: 10 } })
    const stream = follow(hub)
    hub.accept(batchOf(...Array.from({ length: 10 }, (_, n) => scored(n))))
    expect([hub.subscribers, await stream.read()]).toEqual([1, expect.objectContaining({ length: 10 })])
    hub.accept(batchOf(...Array.from({ length: 11 }, (_, n) => scored(10 + n))))
    expect(ids(await stream.read())).toEqual(['overflow'])
  })

  test('that waits is not slow, however large the batch', async () => {
    const { hub } = serveFixture({ hub: { lagMax: 3, stallMs: 0 } })
    const stream = follow(hub)
    const next = stream.read()
    hub.accept(batchOf(...Array.from({ length: 20 }, (_, n) => scored(n))))
    expect(await next).toHaveLength(20)
  })

  test('ends when it is closed, and when the hub is', async () => {
    const { hub } = serveFixture()
    const [left, stays] = [follow(hub), follow(hub)]
    const next = left.read()
    left.close()
    left.close()
    expect([await next, hub.subscribers]).toEqual([null, 1])
    const last = stays.read()
    hub.close()
    expect([await last, hub.subscribers]).toEqual([null, 0])
    expect(hub.subscribe(everything, null, newlineDelimitedJson, () => undefined)).toBeNull()
  })
})

describe('the cursor', () => {
  test.each(['0:12', '0:12,3:7', '10:9007199254740991'])('%s survives a round trip', (text) => {
    expect(PartitionCursor.parse(text)?.toString()).toBe(text)
  })

  test.each(['', '0', '0:', ':1', '0:1,', '0:1,0:2', '0:-1', '0:1.5', '9999:1', '0:9007199254740993', ' 0:1', '0:1\n'])(
    '%j is none',
    (text) => {
      expect(PartitionCursor.parse(text)).toBeNull()
    },
  )
})
