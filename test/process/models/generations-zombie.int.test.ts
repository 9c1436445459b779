import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogBatch, LogRecord } from '../../../src/ports/log.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { eventually } from '../../support/wait.ts'
import { model, Operator, serve } from '../support/models.ts'
import { traffic } from '../support/traffic.ts'
import { clock } from '../support/wiring.ts'
import { World, type Around, type Step } from '../support/world.ts'

const within = { deadlineMs: 30_000 }

/** A place where a worker stands still: before a call, or after it has run. */
const places: readonly (readonly [Step, 'before' | 'after'])[] = [
  ['load', 'before'],
  ['write', 'before'],
  ['write', 'after'],
  ['advance', 'before'],
  ['advance', 'after'],
  ['publish', 'before'],
]

describe.skipIf(redisAvailable() !== null)('two workers on one batch, and a promotion between them', () => {
  let server: TestRedis
  beforeAll(async () => {
    server = await startTestRedis()
  })
  afterAll(() => server.stop())

  it.each(places.flatMap((place) => [0, 5, 16].map((promotedAt) => [...place, promotedAt] as const)))(
    'I2: one stands still at %s (%s); another does its work, with a promotion at its offset %d; all copies are the same bytes',
    async (step, when, promotedAt) => {
      const namespace = `zombie-${step}-${when}-${promotedAt}`
      const world = await World.open({ url: server.url, namespace, partitions: 1, maxRecords: 16 })
      const operator = await Operator.of(world)
      const { events, scores } = world.topics
      const sent = traffic({ topic: events, seed: 7, events: 16, customers: 40, terminals: 30 })
      await world.log.publish(sent.map(({ record }) => record))
      await world.store.advance(events, 0, 0)
      const records = await world.read(events)
      const [slow, quick] = [await serve(world), await serve(world)]
      const { hold, around } = holdAt(step, when)
      const zombie = await world.parts(world.log, around, slow)
      const owner = await world.parts(world.log, undefined, quick)

      const late = zombie.pipeline(batchOf(records, 0, 16), runFrom(zombie.store.epoch))
      await eventually(() => hold.isHeld, within)
      // From here on the other one owns the partition. Its batches end elsewhere.
      for (const [from, to] of [
        [0, 5],
        [5, 16],
      ] as const) {
        if (promotedAt === from) await promote(operator, events)
        await owner.pipeline(batchOf(records, from, to), runFrom(owner.store.epoch))
      }
      if (promotedAt === 16) await promote(operator, events)
      hold.release()
      await late

      const copies = new Map<string, Set<string>>()
      let published = 0
      for (const { value } of await world.read(scores)) {
        const text = Buffer.from(value).toString()
        const { id } = JSON.parse(text) as { id: string }
        copies.set(id, (copies.get(id) ?? new Set()).add(text))
        published += 1
      }
      expect(published, 'both have published').toBeGreaterThan(copies.size)
      for (const [id, texts] of copies) expect([...texts], id).toHaveLength(1)
      await Promise.all([slow.close(), quick.close(), zombie.store.close(), owner.store.close()])
      await operator.store.close()
      await world.close()
    },
  )
})

async function promote(operator: Operator, topic: string): Promise<void> {
  const { generation } = (await operator.store.activate(topic, 0, await operator.do('promote', 2))) ?? {}
  expect([generation, model(2).version]).toEqual([2, '2'])
}

function holdAt(step: Step, when: 'before' | 'after') {
  let release: () => void = () => undefined
  const gate = new Promise<void>((resolve) => (release = resolve))
  const hold = { isHeld: false, release: () => release() }
  const stand = async (): Promise<void> => {
    if (hold.isHeld) return
    hold.isHeld = true
    await gate
  }
  const around: Around = async (at, _partition, call) => {
    if (at === step && when === 'before') await stand()
    const result = await call()
    if (at === step && when === 'after') await stand()
    return result
  }
  return { hold, around }
}

function batchOf(records: readonly LogRecord[], from: number, to: number): LogBatch {
  const topic = records[0]?.topic ?? ''
  return { topic, partition: 0, records: records.slice(from, to), next: to, end: records.length }
}

function runFrom(epoch: number) {
  return { publishFrom: 0, epoch, applied: 0, isDivisible: false, clock, signal: new AbortController().signal }
}
