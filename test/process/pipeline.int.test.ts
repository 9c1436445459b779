import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cloudEventSchema } from '../../src/events/envelope.ts'
import type { LogRecord, Position } from '../../src/ports/log.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { checkInvariants, type OutputEvent } from './support/invariants.ts'
import { traffic } from './support/traffic.ts'
import { compiled } from './support/wiring.ts'
import { World, type Around, type Step } from './support/world.ts'
import { testSeed as seed } from '../support/seed.ts'

const within = { deadlineMs: 60_000 }

describe.skipIf(redisAvailable() !== null)(`the pipeline on a real log and real states, seed ${seed}`, () => {
  let server: TestRedis
  const worlds: World[] = []
  beforeAll(async () => {
    server = await startTestRedis()
  })
  afterAll(async () => {
    await Promise.all(worlds.map((world) => world.close()))
    await server.stop()
  })
  async function open(namespace: string, partitions: number, maxRecords: number): Promise<World> {
    const world = await World.open({ url: server.url, namespace, partitions, maxRecords })
    worlds.push(world)
    return world
  }

  it('I1 to I4 and I6: answers every record once, in an event that names its cause', async () => {
    const world = await open('whole', 3, 16)
    const { topics } = world
    const sent = traffic({ topic: topics.events, seed, events: 400, customers: 12, terminals: 5 })
    const worker = await world.work()
    const positions: Position[] = []
    for (let at = 0; at < sent.length; at += 37) {
      positions.push(...(await world.log.publish(sent.slice(at, at + 37).map(({ record }) => record))))
    }
    await eventually(() => world.isDone(), within)
    await worker.stop()

    const { told, scored, deadLetters, copies } = await checkInvariants(world)
    expect(world.witness.violations).toEqual([])
    expect(copies, 'nothing crashed, so nothing was published twice').toBe(0)
    const counts = (kind: string) => sent.filter((one) => one.kind === kind).length
    expect(scored.length).toBe(counts('payment'))
    expect(told.length).toBe(counts('payment') + counts('label') + counts('profile'))
    const places = (wanted: readonly string[]) =>
      positions
        .filter((_, i) => wanted.includes(sent[i]?.kind ?? ''))
        .map(({ partition, offset }) => [partition, offset])
    const uncounted = ['unknown_subject', 'contradicts_subject']
    const refused = deadLetters.filter(({ data }) => !uncounted.includes(data.code))
    expect(refused.length, 'labels that count nowhere').toBeLessThan(deadLetters.length)
    expect(refused.map(({ data }) => [data.position.partition, data.position.offset]).sort()).toEqual(
      places(['duplicate', 'invalid']).sort(),
    )
    const codes = sent.map((one, i) => [`${positions[i]?.partition}:${positions[i]?.offset}`, one.code] as const)
    const expected = new Map(codes.filter(([, code]) => code !== undefined))
    for (const { data } of refused) {
      expect(data.code).toBe(expected.get(`${data.position.partition}:${data.position.offset}`))
    }
    const records = new Map(
      (await world.read(topics.events)).map((record) => [`${record.partition}:${record.offset}`, record]),
    )
    const all = [...scored, ...deadLetters, ...observedOf(await world.read(topics.scores))]
    for (const outputEvents of all) checkEnvelope(outputEvents, records)
  })

  it('I6: counts how often a dead letter was tried, and applies one that is well by now', async () => {
    const world = await open('attempts', 1, 8)
    const value = '{"specversion":'
    const header = (attempts: string) => ({ 'riverbank-attempts': attempts })
    const record = { topic: world.topics.events, key: 'c1', value }
    await world.log.publish([
      record,
      { ...record, headers: header('1') },
      { ...record, headers: header('41') },
      { ...record, headers: header('many') },
      { ...record, headers: header('-3') },
    ])
    const worker = await world.work()
    await eventually(() => world.isDone(), within)
    await worker.stop()
    const { deadLetters } = await checkInvariants(world)
    expect(deadLetters.map(({ data }) => data.attempts)).toEqual([1, 2, 42, 1, 1])
  })

  it('I6: moves on from the largest, longest and strangest record that the log takes', async () => {
    const world = await open('strange', 1, 4)
    const topic = world.topics.events
    const [control, quote] = ['\u0001', '"']
    await world.log.publish([
      { topic, key: 'k', value: new Uint8Array(1_040_000).fill(0xff) },
      { topic, key: control.repeat(1_000_000), value: 'x' },
      { topic, key: quote.repeat(500_000), value: new Uint8Array(500_000).fill(7) },
      { topic, key: '', value: '' },
      { topic, key: 'k', value: 'x', headers: { h: control.repeat(150_000), '': quote } },
    ])
    await world.log.publish(
      traffic({ topic, seed, events: 20, customers: 2, terminals: 1 }).map(({ record }) => record),
    )
    const worker = await world.work()
    await Promise.race([eventually(() => world.isDone(), within), worker.finished])
    await worker.stop()
    const { deadLetters } = await checkInvariants(world)
    expect(deadLetters.length).toBeGreaterThanOrEqual(5)
    for (const letter of deadLetters) {
      expect(cloudEventSchema.safeParse(letter.envelope).error?.issues ?? [], letter.id.slice(0, 80)).toEqual([])
    }
  })

  it('I3: two workers whose partitions share terminals agree on one order of each terminal', async () => {
    const world = await open('shared', 2, 8)
    const slowly: Around = async (step, _partition, call) => {
      // Let the other one write between our load and our write.
      if (step === 'write') await new Promise((resolve) => setTimeout(resolve, 2))
      return call()
    }
    const workers = [await world.work(slowly), await world.work(slowly)]
    const sent = traffic({ topic: world.topics.events, seed: seed + 1, events: 600, customers: 20, terminals: 2 })
    const [first, second] = workers
    if (first === undefined || second === undefined) throw new Error('there are two')
    // Until each holds one partition, one of them could do it all.
    let published = 0
    const both = () => Math.min(first.counts.batches, second.counts.batches) > 0
    while (!both() && published < 200) {
      await world.log.publish(sent.slice(published, published + 10).map(({ record }) => record))
      published += 10
      await eventually(() => world.isDone(), within)
    }
    await world.log.publish(sent.slice(published).map(({ record }) => record))
    await eventually(() => world.isDone(), within)
    for (const worker of workers) await worker.stop()
    expect(both(), 'both worked').toBe(true)
    expect(first.counts.conflicts + second.counts.conflicts, 'lost compare-and-sets').toBeGreaterThan(10)
    await checkInvariants(world)
    expect(world.witness.violations).toEqual([])
  })

  it('R4, R6 and I4: writes states, then the position, then publishes, then commits, and only then goes on', async () => {
    const world = await open('order', 1, 8)
    const sent = traffic({ topic: world.topics.events, seed: seed + 2, events: 64, customers: 4, terminals: 2 })
    await world.log.publish(sent.map(({ record }) => record))
    const steps: Step[] = []
    const worker = await world.work((step, _partition, call) => {
      steps.push(step)
      return call()
    })
    await eventually(() => world.isDone(), within)
    await worker.stop()
    const story = steps.join(' ')
    const batch = '(load |positions |write )+advance publish commit'
    const assignment = 'metadata layouts metadata metadata positions advance metadata'
    expect(story).toMatch(new RegExp(`^${assignment}( ${batch}){8}$`))
  })
})

function observedOf(records: readonly LogRecord[]): OutputEvent<{ position: { partition: number; offset: number } }>[] {
  return records.map((record) => {
    const envelope = JSON.parse(Buffer.from(record.value).toString()) as Record<string, unknown>
    const data = envelope['data'] as { position: { partition: number; offset: number } }
    return { id: String(envelope['id']), type: String(envelope['type']), envelope, data, copies: [record] }
  })
}

/** Whatever is emitted is a CloudEvent that names its cause, at its cause's time, and carries its trace. */
function checkEnvelope(
  {
    id,
    envelope,
    data,
    copies,
  }: OutputEvent<{ readonly position: { readonly partition: number; readonly offset: number } }>,
  records: ReadonlyMap<string, LogRecord>,
): void {
  const cause = records.get(`${data.position.partition}:${data.position.offset}`)
  if (cause === undefined) throw new Error(`${id} has a cause`)
  expect(cloudEventSchema.safeParse(envelope).success, id).toBe(true)
  expect(envelope['time'], id).toBe(new Date(cause.appendTimeMs).toISOString())
  expect(envelope['source']).toBe('urn:riverbank:processor')
  const sent = parsed(cause)
  const isEvent = sent !== null && compiled.catalog.has(String(sent['type'])) && envelope['causationid'] !== undefined
  if (isEvent) {
    expect(envelope['causationid'], id).toBe(sent['id'])
    expect(envelope['correlationid'], id).toBe(sent['correlationid'] ?? sent['id'])
  } else {
    expect(envelope['type'], 'only what could not be read has no cause by name').toBe('event.dead_lettered')
  }
  for (const { headers } of copies) {
    expect(headers, id).toEqual({
      'content-type': 'application/cloudevents+json',
      ...(cause.headers['traceparent'] === undefined ? {} : { traceparent: cause.headers['traceparent'] }),
    })
  }
}

function parsed(record: LogRecord): Record<string, unknown> | null {
  try {
    return JSON.parse(Buffer.from(record.value).toString()) as Record<string, unknown>
  } catch {
    return null
  }
}
