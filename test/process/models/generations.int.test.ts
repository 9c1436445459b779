import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { eventually } from '../../support/wait.ts'
import { model, Operator, serve, type Manners } from '../support/models.ts'
import { traffic } from '../support/traffic.ts'
import { World, type Around, type Work } from '../support/world.ts'
import { testSeed as seed } from '../../support/seed.ts'

const within = { deadlineMs: 60_000 }

describe.skipIf(redisAvailable() !== null)(`generations of models on a real log and real states, seed ${seed}`, () => {
  let server: TestRedis
  beforeAll(async () => {
    server = await startTestRedis()
  })
  afterAll(() => server.stop())

  async function open(namespace: string, partitions: number) {
    const world = await World.open({ url: server.url, namespace, partitions, maxRecords: 8 })
    const operator = await Operator.of(world)
    onTestFinished(async () => {
      await operator.store.close()
      await world.close()
    })
    let sent = 0
    return {
      world,
      operator,
      async send(events: number) {
        const more = { seed: seed + sent, events, from: sent, customers: 12, terminals: 4 }
        sent += events
        await world.log.publish(traffic({ topic: world.topics.events, ...more }).map(({ record }) => record))
      },
      async work(manners: Manners = {}, around?: Around, more: Pick<Work, 'maxRecords'> = {}) {
        const scoring = await serve(world, manners)
        const worker = await world.work(around, { scoring, ...more })
        let stopped: Promise<void> | null = null
        const stop = () => {
          stopped ??= worker.stop().then(() => scoring.close())
          return stopped
        }
        onTestFinished(stop)
        return { ...worker, scoring, stop }
      },
    }
  }

  it('I2: a promotion, a shadow and two rollbacks take effect without a restart, each at one offset of each partition', async () => {
    const { world, operator, send, work } = await open('promoted', 3)
    const worker = await work()
    await send(60)
    await eventually(() => world.isDone(), within)
    for (const change of [
      () => operator.do('promote', 2),
      () => operator.do('shadow', 3),
      () => operator.do('promote', 3),
      () => operator.do('rollback'),
      () => operator.do('rollback'),
    ]) {
      const number = await change()
      await send(30)
      await eventually(async () => (await operator.live(number)) === 3, within)
      await send(30)
      await eventually(() => world.isDone(), within)
    }
    await worker.stop()
    const { byGeneration, scored, copies } = await operator.check()
    expect([...byGeneration.keys()].toSorted()).toEqual([1, 2, 3, 4, 5, 6])
    expect(copies).toBe(0)
    expect(scored.some(({ data }) => typeof data.shadows?.['hash/3'] === 'number')).toBe(true)
    const { generations } = await operator.administration.report(10)
    expect(generations.map(({ champion, restores }) => [champion, restores])).toEqual([
      ['hash/2', 2],
      ['hash/2', 3],
      ['hash/3', null],
      ['hash/2', null],
      ['hash/2', null],
      ['hash/1', null],
    ])
    expect(world.witness.violations).toEqual([])
  })

  it('takes effect on partitions that are silent, and skips a generation that was followed by another', async () => {
    const { world, operator, send, work } = await open('silent', 2)
    await send(20)
    const worker = await work()
    await eventually(() => world.isDone(), within)
    await operator.do('promote', 2)
    const last = await operator.do('promote', 3)
    await eventually(async () => (await operator.live(last)) === 2, within)
    await send(20)
    await eventually(() => world.isDone(), within)
    await worker.stop()
    const { byGeneration } = await operator.check()
    expect(byGeneration.get(2)).toBeUndefined()
    expect(byGeneration.get(3)).toBeGreaterThan(0)
  })

  it.each(['publish', 'commit'] as const)(
    'I2: a worker that dies before it can %s is followed by one whose batch two generations score',
    async (death) => {
      const { world, operator, send, work } = await open(`died-${death}`, 1)
      await send(64)
      const steps: string[] = []
      const dying = await work({}, async (step, _partition, call) => {
        steps.push(step)
        if (step === death && steps.filter((one) => one === death).length === 3)
          throw new RiverbankError('log_refused', 'killed')
        return call()
      })
      await expect(dying.finished).rejects.toThrow('killed')
      await dying.stop()
      // Three batches of eight were advanced, two committed.
      const number = await operator.do('promote', 2)
      expect(await operator.store.activate(world.topics.events, 0, number)).toEqual({ generation: 2, offset: 24 })
      const sizes: number[] = []
      const next = await work(
        {},
        (step, _partition, call) => {
          if (step === 'advance') sizes.push(1)
          return call()
        },
        { maxRecords: 500 },
      )
      await eventually(() => world.isDone(), within)
      await next.stop()
      expect(sizes, 'one batch had it all').toHaveLength(1)
      const { byGeneration, copies } = await operator.check()
      expect([...byGeneration.keys()].toSorted()).toEqual([1, 2])
      if (death === 'commit') expect(copies).toBeGreaterThan(0)
      else expect(copies).toBe(0)
    },
  )

  it('I2: promotions during rebalances: one generation scores each offset, in any processor', async () => {
    const { world, operator, send, work } = await open('rebalanced', 4)
    let worker = await work()
    const last = 8
    for (let number = 2; number <= last; number += 1) {
      await send(60)
      const joining = work()
      await operator.do('promote', number)
      const joined = await joining
      await send(30)
      await worker.stop()
      worker = joined
    }
    await eventually(async () => (await operator.live(last)) === 4, within)
    await send(30)
    await eventually(() => world.isDone(), within)
    await worker.stop()
    const { byGeneration } = await operator.check()
    expect(byGeneration.size).toBeGreaterThan(2)
    expect(world.witness.violations).toEqual([])
  })

  it('refuses a generation that cannot be loaded, says why, and goes on with the old one', async () => {
    const { world, operator, send, work } = await open('refused', 1)
    const worker = await work({ refused: new Set(['2']) })
    const refused = await operator.do('promote', 2)
    const reasons = async () => (await operator.store.refusals()).get(refused)?.detail
    await eventually(async () => (await reasons())?.startsWith('hash_mismatch: 2') === true, within)
    expect(worker.scoring.told).toContain('refused hash_mismatch')
    await send(30)
    await eventually(() => world.isDone(), within)
    expect([...(await operator.check()).byGeneration.keys()]).toEqual([1])
    // What was refused is no base for the next change.
    const good = await operator.do('shadow', 3)
    expect((await operator.store.generations(1))[0]).toMatchObject({ champion: model(1), shadows: [model(3)] })
    await eventually(async () => (await operator.live(good)) === 1, within)
    await send(30)
    await eventually(() => world.isDone(), within)
    await worker.stop()
    expect((await operator.check()).byGeneration.get(good)).toBeGreaterThan(0)
  })

  it('does not score past a model that is in effect and cannot be loaded here; another worker goes on', async () => {
    const { world, operator, send, work } = await open('missing', 1)
    const first = await work()
    await send(16)
    await eventually(() => world.isDone(), within)
    await first.stop()
    const number = await operator.do('promote', 2)
    await operator.store.activate(world.topics.events, 0, number)
    await send(16)
    const without = await work({ refused: new Set(['2']) })
    await expect(without.finished).rejects.toMatchObject({ code: 'model_unavailable', canRetry: true })
    await without.stop()
    expect((await world.read(world.topics.scores)).length, 'nothing was scored by another').toBeLessThanOrEqual(16)
    const able = await work()
    await eventually(() => world.isDone(), within)
    await able.stop()
    expect((await operator.check()).byGeneration.get(2)).toBeGreaterThan(0)
  })

  it('loads first, and takes effect after that: batches go on meanwhile', async () => {
    const { world, operator, send, work } = await open('slow', 1)
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const worker = await work({ onLoad: (version) => (version === '2' ? held : undefined) })
    const number = await operator.do('promote', 2)
    await send(40)
    await eventually(() => world.isDone(), within)
    expect(await operator.live(number)).toBe(0)
    release()
    await eventually(async () => (await operator.live(number)) === 1, within)
    await worker.stop()
    expect([...(await operator.check()).byGeneration.keys()]).toEqual([1])
  })

  it('begins the list anew with what was live when the store was emptied', async () => {
    const { world, operator, send, work } = await open('emptied', 1)
    const worker = await work()
    const number = await operator.do('promote', 2)
    await eventually(async () => (await operator.live(number)) === 1, within)
    const { Redis } = await import('ioredis')
    const redis = new Redis(server.url)
    for (const key of await redis.keys(`${world.statesNamespace}:*`)) await redis.del(key)
    redis.disconnect()
    await send(30)
    await eventually(() => world.isDone(), within)
    await worker.stop()
    expect(await operator.store.generations(10)).toMatchObject([{ number: 1, champion: model(2) }])
  })
})
