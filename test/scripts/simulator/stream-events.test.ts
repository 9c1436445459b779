import { describe, expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { partitionOf } from '../../../src/events/partitioner.ts'
import type { OutgoingRecord } from '../../../src/ports/log.ts'
import { history } from '../../../features/simulator/history.ts'
import { isPayment, scoredTypes, type SimulatedEvent } from '../../../features/simulator/payment-events.ts'
import { generatePayments } from '../../../features/simulator/payments.ts'
import { NumpyRandom } from '../../../features/simulator/numpy-random.ts'
import type { Timer } from '../../../scripts/simulator/publish-lane.ts'
import { streamEvents, type StreamOptions } from '../../../scripts/simulator/stream-events.ts'

const columns = generatePayments({ customers: 60, terminals: 120, days: 20, radius: 12 })
const all = [...history(columns, { labelDelayMs: 86_400_000 })]
const full = () => new RiverbankError('log_full', 'full', { canRetry: true })
const idOf = (record: OutgoingRecord) => (JSON.parse(String(record.value)) as { id: string }).id
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Time passes only by sleeping. */
function virtualTimer(): Timer & { nowMs(): number } {
  let now = 0
  return {
    nowMs: () => now,
    sleep: async (ms, signal) => {
      await turn()
      if (!signal.aborted) now += ms
    },
  }
}

const base = (): StreamOptions => ({
  topic: 'events',
  scoredTypes,
  partitions: 8,
  batchRecords: 50,
  inFlightMax: 4,
  retry: { baseDelayMs: 10, maxDelayMs: 100, giveUpMs: 5_000 },
  timer: virtualTimer(),
})

describe('without a rate', () => {
  test('everything arrives once, keyed by customer, within the limits, each partition in order', async () => {
    const seed = Date.now() >>> 0
    const random = new NumpyRandom(seed)
    const arrived: OutgoingRecord[] = []
    let underWay = 0
    let underWayMax = 0
    const summary = await streamEvents(
      all,
      async (records) => {
        underWay += 1
        underWayMax = Math.max(underWayMax, underWay)
        expect(records.length).toBeLessThanOrEqual(50)
        for (let turns = random.double() * 5; turns > 0; turns -= 1) await turn()
        underWay -= 1
        // Some batches must be tried again: order has to survive that.
        if (random.double() < 0.3) throw full()
        arrived.push(...records)
      },
      base(),
    )
    expect(underWayMax).toBe(4)
    expect(summary).toMatchObject({ kind: 'finished', published: all.length })
    expect(summary.scored + summary.labels).toBe(all.length)
    expect(summary.labels).toBeGreaterThan(0)
    expect(summary.retries).toBeGreaterThan(0)
    expect(summary).toMatchObject({ firstEventMs: all[0]!.timestamp, lastEventMs: all.at(-1)!.timestamp })
    const keys = new Map(all.map((event) => [event.eventId, event.aggregateId]))
    for (const record of arrived) expect(record).toMatchObject({ topic: 'events', key: keys.get(idOf(record)) })
    for (let partition = 0; partition < 8; partition += 1) {
      const expected = all.filter((event) => partitionOf(event.aggregateId, 8) === partition).map((e) => e.eventId)
      const got = arrived.filter((record) => partitionOf(record.key, 8) === partition).map(idOf)
      expect(got, `seed ${seed}`).toEqual(expected)
    }
  })

  test('reads no further than the batches under way allow', async () => {
    let read = 0
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    function* counted(): Generator<SimulatedEvent> {
      for (const event of all) {
        read += 1
        yield event
      }
    }
    const done = streamEvents(counted(), () => gate, { ...base(), partitions: 1 })
    for (let i = 0; i < 20; i += 1) await turn()
    // One batch sent, one full, one event in hand.
    expect(read).toBe(101)
    release()
    expect((await done).published).toBe(all.length)
  })

  test('progress counts what is acknowledged', async () => {
    const seen: number[] = []
    await streamEvents(all, () => Promise.resolve(), { ...base(), onProgress: (p) => seen.push(p.published) })
    expect(seen.at(-1)).toBe(all.length)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
  })
})

describe('errors', () => {
  test('one that cannot be retried ends the stream with it', async () => {
    let calls = 0
    const publish = () => {
      calls += 1
      return Promise.reject(new RiverbankError('record_too_large', 'no'))
    }
    await expect(streamEvents(all, publish, base())).rejects.toMatchObject({ code: 'record_too_large' })
    expect(calls).toBeLessThanOrEqual(4)
  })

  test('a log that stays full ends the stream after the patience', async () => {
    const timer = virtualTimer()
    await expect(
      streamEvents(all, () => Promise.reject(full()), { ...base(), partitions: 1, timer }),
    ).rejects.toMatchObject({ code: 'log_full' })
    expect(timer.nowMs()).toBeGreaterThan(4_800)
    expect(timer.nowMs()).toBeLessThanOrEqual(5_000)
  })

  test('a log that is full for a while only costs time', async () => {
    let refusals = 20
    const publish = () => (refusals-- > 0 ? Promise.reject(full()) : Promise.resolve())
    const summary = await streamEvents(all, publish, { ...base(), partitions: 1 })
    expect(summary).toMatchObject({ published: all.length, retries: 20 })
  })

  test('a full log whose readers move is waited for, however long it takes', async () => {
    const timer = virtualTimer()
    const readTo = () => Math.floor(timer.nowMs() / 4_000)
    const moving = () => new RiverbankError('log_full', `read up to offset ${readTo()}`, { canRetry: true })
    const publish = () => (timer.nowMs() < 60_000 ? Promise.reject(moving()) : Promise.resolve())
    const summary = await streamEvents(all, publish, { ...base(), partitions: 1, timer })
    expect(summary).toMatchObject({ kind: 'finished', published: all.length })
  })

  test('an error of the source goes through, and what came before it is published', async () => {
    let published = 0
    function* broken(): Generator<SimulatedEvent> {
      yield* all.slice(0, 10)
      throw new Error('source')
    }
    const publish = (records: readonly OutgoingRecord[]) => Promise.resolve(void (published += records.length))
    await expect(streamEvents(broken(), publish, base())).rejects.toThrow('source')
    expect(published).toBe(10)
  })
})

describe('stopping', () => {
  test('ends soon, closes the source, and counts only what is acknowledged', async () => {
    const stop = new AbortController()
    let closed = false
    let arrived = 0
    function* endless(): Generator<SimulatedEvent> {
      try {
        for (;;) yield* all
      } finally {
        closed = true
      }
    }
    const summary = await streamEvents(
      endless(),
      async (records) => {
        await turn()
        arrived += records.length
        if (arrived > 500) stop.abort()
      },
      { ...base(), signal: stop.signal },
    )
    expect(summary).toMatchObject({ kind: 'stopped', published: arrived })
    expect(closed).toBe(true)
  })

  test('also ends waiting for a log that is full', async () => {
    const stop = new AbortController()
    let calls = 0
    const publish = () => {
      calls += 1
      if (calls === 3) stop.abort()
      return Promise.reject(full())
    }
    const summary = await streamEvents(all, publish, { ...base(), partitions: 1, signal: stop.signal })
    expect(summary).toMatchObject({ kind: 'stopped', published: 0 })
    expect(calls).toBe(3)
  })
})

describe('with a rate', () => {
  test('payments go evenly and in small batches; labels come on top', async () => {
    const timer = virtualTimer()
    const sentAt: number[] = []
    let largest = 0
    const summary = await streamEvents(
      all.slice(0, 2_001),
      (records) => {
        largest = Math.max(largest, records.length)
        for (const record of records) if (idOf(record).startsWith('pay-')) sentAt.push(timer.nowMs())
        return Promise.resolve()
      },
      { ...base(), ratePerSecond: 200, timer },
    )
    expect(summary.kind).toBe('finished')
    const seconds = timer.nowMs() / 1_000
    expect(sentAt.length / seconds).toBeGreaterThan(198)
    expect(sentAt.length / seconds).toBeLessThan(202)
    expect(largest).toBeLessThanOrEqual(8)
    for (let second = 0; second < Math.floor(seconds); second += 1) {
      const count = sentAt.filter((ms) => ms >= second * 1_000 && ms < (second + 1) * 1_000).length
      expect(Math.abs(count - 200)).toBeLessThanOrEqual(4)
    }
  })

  test('an event is asked for only when it may go', async () => {
    const timer = virtualTimer()
    const askedAt: number[] = []
    function* watched(): Generator<SimulatedEvent> {
      for (const event of all.filter(isPayment).slice(0, 5)) {
        askedAt.push(timer.nowMs())
        yield event
      }
    }
    await streamEvents(watched(), () => Promise.resolve(), { ...base(), ratePerSecond: 2, timer })
    expect(askedAt).toEqual([0, 500, 1_000, 1_500, 2_000])
  })

  test('what gathered behind a slow batch goes as soon as that is through', async () => {
    const timer = virtualTimer()
    const sizes: number[] = []
    await streamEvents(
      all.filter(isPayment).slice(0, 100),
      async (records) => {
        sizes.push(records.length)
        if (sizes.length === 1) while (timer.nowMs() < 50) await turn()
      },
      { ...base(), partitions: 1, ratePerSecond: 1_000, timer },
    )
    expect(sizes.reduce((a, b) => a + b)).toBe(100)
    expect(sizes[1]).toBeGreaterThan(20)
  })
})
