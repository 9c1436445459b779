import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RiverbankError } from '../../src/base/errors.ts'
import { encodeEvent } from '../../src/events/event.ts'
import { dayMs, secondMs } from '../../src/base/units.ts'
import type { OutgoingRecord } from '../../src/ports/log.ts'
import { historyHeaders } from '../support/history.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { checkInvariants } from './support/invariants.ts'
import { World, type Around } from './support/world.ts'

const within = { deadlineMs: 60_000 }
const startMs = Date.UTC(2026, 2, 1)
const batchRecords = 8
/** Of the shipped definitions: at how many terminals a customer may pay before their number says "at least". */
const distinctCap = 64
const payments = 96

/** One customer who never pays at the same terminal twice; the last payment comes long after its time. */
function spree(topic: string): OutgoingRecord[] {
  return Array.from({ length: payments }, (_, n) => {
    const timestamp = n === payments - 1 ? startMs - 60 * dayMs : startMs + n * secondMs
    const event = {
      eventId: `p${n}`,
      eventType: 'payment.initiated',
      timestamp: timestamp,
      aggregateId: 'c1',
      aggregateType: 'customer',
      version: 2,
      data: { customerId: 'c1', terminalId: `t${n}`, amountMinor: 100, currency: 'EUR' },
      metadata: { source: 'urn:test' },
    }
    return { topic, key: 'c1', value: encodeEvent(event), headers: historyHeaders }
  })
}

describe.skipIf(redisAvailable() !== null)('flags on the way of a payment', () => {
  let server: TestRedis
  let world: World
  beforeAll(async () => {
    server = await startTestRedis()
    world = await World.open({ url: server.url, namespace: 'flags', partitions: 1, maxRecords: batchRecords })
  })
  afterAll(async () => {
    await world.close()
    await server.stop()
  })

  it('R1 and I2: a replay repeats the bytes of flagged scores, and scores without flags have no member for them', async () => {
    await world.log.publish(spree(world.topics.events))
    // Dies after every publish, before the commit: the next worker answers each batch from stored snapshots.
    const crashed = new Set<number>()
    let batch = 0
    const dying: Around = async (step, _partition, call) => {
      if (step === 'commit' && !crashed.has(batch)) {
        crashed.add(batch)
        throw new RiverbankError('log_refused', 'crashed')
      }
      const result = await call()
      if (step === 'commit') batch += 1
      return result
    }
    let workers = 0
    while (!(await world.isDone())) {
      const worker = await world.work(dying)
      workers += 1
      const ended = worker.finished.catch((error: unknown) => {
        expect(String(error)).toContain('crashed')
      })
      await Promise.race([ended, eventually(() => world.isDone(), within)])
      await worker.stop().catch(() => undefined)
    }
    expect(workers).toBeGreaterThan(payments / batchRecords)

    const { scored, copies } = await checkInvariants(world)
    expect(copies, 'each batch was published twice').toBe(payments)
    const flagged = new Map(scored.map(({ data, copies: all }) => [data.paymentId, { flags: data.flags, all }]))
    const names = ['customer_reach__terminal_distinct_1d', 'customer_reach__terminal_distinct_7d']
    for (let n = 0; n < payments; n += 1) {
      const { flags, all = [] } = flagged.get(`p${n}`) ?? {}
      // The late one reads windows that hold nothing.
      const isSaturated = n >= distinctCap && n < payments - 1
      expect(flags, `p${n}`).toEqual(
        isSaturated ? Object.fromEntries(names.map((name) => [name, 'saturated'])) : undefined,
      )
      expect(all.length, `p${n}`).toBe(2)
      for (const { value } of all) {
        const text = new TextDecoder().decode(value)
        expect(text.includes('"flags"'), `p${n}`).toBe(isSaturated)
      }
    }
  })
})
