import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { readLetter } from '../../../src/process/dead-letters/placed-letter.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { eventually } from '../../support/wait.ts'
import { checkInvariants } from '../support/invariants.ts'
import { World, type Around, type Step } from '../support/world.ts'

const paidMs = Date.now() - 3_600_000
const within = { deadlineMs: 60_000 }

/** As a producer sends it: with a header of its own. */
function event(topic: string, id: string, type: string, version: number, data: object) {
  const value = JSON.stringify({
    ...{ specversion: '1.0', id, source: 'test', type, subject: 'c1', time: new Date(paidMs).toISOString() },
    ...{ datacontenttype: 'application/json', dataschema: `urn:riverbank:${type}:${version}`, data },
  })
  return { topic, key: 'c1', value, headers: { origin: 'a test' } }
}
const spent = { customerId: 'c1', terminalId: 't1', amountMinor: 100, currency: 'EUR' }
const payment = (topic: string, id: string) => event(topic, id, 'payment.initiated', 2, spent)
const report = (topic: string, id: string, paymentId: string, more = {}) =>
  event(topic, id, 'fraud.reported', 1, { ...spent, paymentId, paymentTimeMs: paidMs, kind: 'chargeback', ...more })

describe.skipIf(redisAvailable() !== null)('a label that comes before its payment', () => {
  let server: TestRedis
  const worlds: World[] = []
  beforeAll(async () => {
    server = await startTestRedis()
  })
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.close()
  })
  afterAll(() => server.stop())

  async function open(namespace: string): Promise<World> {
    const world = await World.open({ url: server.url, namespace, partitions: 1, maxRecords: 1 })
    worlds.push(world)
    return world
  }

  /** What came of each label, in the order of the log. */
  async function outcomesOf(world: World, labelId: string): Promise<unknown[]> {
    const { told, deadLetters } = await checkInvariants(world)
    const answers = new Map<number, unknown>(deadLetters.map(({ data }) => [data.position.offset, data.code]))
    for (const { record, entities } of told) {
      if (!answers.has(record.offset)) answers.set(record.offset, entities['customer']?.outcome)
    }
    const records = await world.read(world.topics.events)
    const own = records.filter(({ value }) => Buffer.from(value).toString().includes(`"id":"${labelId}"`))
    return own.map(({ offset }) => answers.get(offset))
  }

  it('is a dead letter, waits, and is applied by itself when the payment comes, as it was sent', async () => {
    const world = await open('early')
    const { events } = world.topics
    await world.log.publish([report(events, 'f1', 'p1'), payment(events, 'p0'), payment(events, 'p1')])
    const worker = await world.work()
    await eventually(() => world.isDone(), within)
    await worker.stop()
    expect(await outcomesOf(world, 'f1')).toEqual(['unknown_subject', 'applied'])
    const letters = (await world.read(world.topics.deadLetters)).map(readLetter)
    expect(letters.map((letter) => letter.kind)).toEqual(['letter', 'replayed'])
    const [letter, replayed] = letters
    if (letter?.kind !== 'letter' || replayed?.kind !== 'replayed')
      throw new Error('its letter says that it was replayed')
    expect(replayed.replayed.letterId).toBe(letter.letter.id)
    const [first, , , again] = await world.read(events)
    expect(again).toMatchObject({ key: first?.key, headers: { ...first?.headers, 'riverbank-attempts': '1' } })
    expect(Buffer.from(again?.value ?? []).equals(Buffer.from(first?.value ?? []))).toBe(true)
  })

  it('comes again in binary mode where it came so', async () => {
    const world = await open('binary')
    const { events } = world.topics
    const { data, ...attributes } = JSON.parse(report(events, 'f1', 'p1').value) as Record<string, string>
    const { datacontenttype: type, ...others } = attributes
    const names = Object.entries(others).map(([name, value]) => [`ce_${name}`, value])
    const headers = { ...(Object.fromEntries(names) as Record<string, string>), 'content-type': type ?? '' }
    await world.log.publish([{ topic: events, key: 'c1', value: JSON.stringify(data), headers }, payment(events, 'p1')])
    const worker = await world.work()
    await eventually(() => world.isDone(), within)
    await worker.stop()
    const { told } = await checkInvariants(world)
    const outcomes = told.map(({ event, entities }) => [event.eventId, entities['customer']?.outcome])
    expect(outcomes).toEqual([
      ['f1', 'unknown_subject'],
      ['p1', 'applied'],
      ['f1', 'applied'],
    ])
    const [first, , again] = await world.read(events)
    expect(again?.headers).toEqual({ ...first?.headers, 'riverbank-attempts': '1' })
  })

  it('is judged then: one that contradicts the payment counts nowhere', async () => {
    const world = await open('wrong')
    const { events } = world.topics
    await world.log.publish([report(events, 'f1', 'p1', { terminalId: 't2' }), payment(events, 'p1')])
    const worker = await world.work()
    await eventually(() => world.isDone(), within)
    await worker.stop()
    expect(await outcomesOf(world, 'f1')).toEqual(['unknown_subject', 'contradicts_subject'])
  })

  it('waits once, however often it is sent', async () => {
    const world = await open('often')
    const { events } = world.topics
    const sent = report(events, 'f1', 'p1')
    await world.log.publish([sent, sent, report(events, 'f2', 'p1'), payment(events, 'p1')])
    const worker = await world.work()
    await eventually(() => world.isDone(), within)
    await worker.stop()
    expect(await outcomesOf(world, 'f1')).toEqual(['unknown_subject', 'unknown_subject', 'applied'])
    expect(await outcomesOf(world, 'f2')).toEqual(['unknown_subject', 'applied'])
  })

  it.each(['write', 'advance', 'publish', 'commit'] as const)(
    'counts once when the processor dies after the payment came: %s',
    async (death: Step) => {
      const world = await open(`dies-${death}`)
      const { events } = world.topics
      await world.log.publish([report(events, 'f1', 'p1')])
      const first = await world.work()
      await eventually(() => world.isDone(), within)
      await first.stop()
      await world.log.publish([payment(events, 'p1')])
      const dying: Around = async (step, _partition, call) => {
        const result = step === 'commit' ? null : await call()
        if (step === death) throw new RiverbankError('log_refused', 'killed')
        return result ?? call()
      }
      const killed = await world.work(dying)
      await expect(killed.finished).rejects.toThrow('killed')
      await killed.stop()
      const next = await world.work()
      await eventually(() => world.isDone(), within)
      await next.stop()
      const [early, counted, ...copies] = await outcomesOf(world, 'f1')
      expect([early, counted]).toEqual(['unknown_subject', 'applied'])
      expect(copies).toEqual(death === 'commit' || death === 'publish' ? ['duplicate_event'] : [])
    },
  )
})
