import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { openLake, type Lake } from '../../../src/lake/commit/lake.ts'
import type { RebuildOptions } from '../../../src/lake/rebuild/rebuild.ts'
import { renderVerify } from '../../../src/lake/verify/text.ts'
import { contentOf, evolved, rebuildWorld, verifyWorld } from '../../process/support/evolution.ts'
import { checkInvariants } from '../../process/support/invariants.ts'
import { emptyStates, statesOf } from '../../process/support/states.ts'
import { traffic } from '../../process/support/traffic.ts'
import { compiled } from '../../process/support/wiring.ts'
import { World, type Around } from '../../process/support/world.ts'
import { stateMetadata } from '../../../src/ports/states.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { eventually } from '../../support/wait.ts'
import { tempFolder } from '../support/feed.ts'
import { write } from '../verify/support/world.ts'
import { testSeed as seed } from '../../support/seed.ts'

const within = { deadlineMs: 60_000 }

describe.skipIf(redisAvailable() !== null)(`states from the lake alone, seed ${seed}`, () => {
  let server: TestRedis
  const folder = tempFolder()
  let world: World
  let lake: Lake
  beforeAll(async () => {
    server = await startTestRedis()
    world = await World.open({ url: server.url, namespace: 'rb', partitions: 3, maxRecords: 16 })
    lake = await openLake({ dir: folder.dir })
  })
  afterAll(async () => {
    await world.close()
    await server.stop()
    folder.remove()
  })

  async function feed(from: number, events: number): Promise<void> {
    const sent = traffic({ topic: world.topics.events, seed: seed + from, from, events, customers: 12, terminals: 5 })
    for (let at = 0; at < sent.length; at += 37) {
      await world.log.publish(sent.slice(at, at + 37).map(({ record }) => record))
    }
  }

  async function work(around?: Around): Promise<void> {
    const worker = await world.work(around)
    try {
      await Promise.race([eventually(() => world.isDone(), within), worker.finished])
    } finally {
      await worker.stop()
    }
  }

  async function rebuild(change: Partial<RebuildOptions> = {}) {
    await write(lake, await contentOf(world))
    return rebuildWorld(world, lake, compiled, folder.dir, change)
  }

  async function checkAll(): Promise<void> {
    await write(lake, await contentOf(world))
    await checkInvariants(world)
    const report = await verifyWorld(world, lake, compiled)
    expect(report, renderVerify(report)).toMatchObject({ ok: true, mismatches: 0, violations: 0 })
  }

  it('equal the originals, also when it is interrupted, and processing goes on', async () => {
    await feed(0, 300)
    await work()
    const originals = await statesOf(world, server.url, compiled)
    expect(originals.size).toBeGreaterThan(20)
    await expect(rebuild()).rejects.toMatchObject({ code: 'states_not_empty' })
    expect(await statesOf(world, server.url, compiled)).toEqual(originals)

    await emptyStates(world, server.url)
    const interrupted = new Error('the power went')
    let chunks = 0
    const stop = () => {
      chunks += 1
      if (chunks === 3) throw interrupted
    }
    await expect(rebuild({ onProgress: stop })).rejects.toBe(interrupted)
    await feed(300, 50)
    await expect(work(), 'a half-rebuilt store is not whole').rejects.toMatchObject({ code: 'state_rebuilding' })
    expect((await world.store.positions(world.topics.events)).size).toBe(0)
    expect(await rebuild()).toMatchObject({ resumed: true })
    expect(await statesOf(world, server.url, compiled)).toEqual(originals)
    await work()
    await checkAll()
  })

  it('writes over what is left where positions alone were lost, and what a batch wrote after the loss', async () => {
    const originals = await statesOf(world, server.url, compiled)
    const redis = new Redis(server.url)
    await redis.del(`${world.statesNamespace}:positions:${world.topics.events}`)
    const [left = ''] = await redis.keys(`${world.statesNamespace}:state:{customer:*`)
    const [other = ''] = (await redis.keys(`${world.statesNamespace}:state:{customer:*`)).slice(1)
    await redis.copy(other, left, 'REPLACE')
    redis.disconnect()
    expect(await rebuild()).toMatchObject({ resumed: false })
    expect(await statesOf(world, server.url, compiled)).toEqual(originals)
    await work()
    await checkAll()
  })

  it('begins nothing where a batch was committed after the lake was read', async () => {
    const originals = await statesOf(world, server.url, compiled)
    await emptyStates(world, server.url)
    const committedNow = () => Promise.resolve(new Map([[0, 1_000_000]]))
    await expect(rebuild({ committedNow })).rejects.toMatchObject({ code: 'lake_behind', canRetry: true })
    expect(await world.store.metadata(stateMetadata.rebuild)).toBeNull()
    const starts = new Map([[7, 3]])
    await rebuild({ starts })
    expect((await world.store.positions(world.topics.events)).get(7), 'a partition with nothing to tell').toBe(3)
    expect(await statesOf(world, server.url, compiled)).toEqual(originals)
  })

  it.each(['scores', 'observations', 'events', null] as const)(
    'I1: begin nothing where rows of %s were declared lost',
    async (table) => {
      await emptyStates(world, server.url)
      await write(lake, await contentOf(world))
      const { files } = await lake.snapshot()
      const file = files.find((one) => table === null || one.table === table)
      if (file === undefined) throw new Error('there is a file of each table')
      const { topic, partition, firstOffset, lastOffset } = file
      const range = { table, topic, partition, firstOffset, lastOffset, rows: null }
      await lake.log.commit({ removed: [file.path], lost: [range] })
      await expect(rebuildWorld(world, lake, compiled, folder.dir)).rejects.toMatchObject({ code: 'lake_lost' })
      expect(await world.store.metadata(stateMetadata.rebuild)).toBeNull()
      await lake.log.commit({ added: [file], found: [range] })
      expect(await rebuild()).toMatchObject({ resumed: false })
    },
  )

  it('I1 and I2: answer what was published and not committed as before', async () => {
    await feed(400, 300)
    let commits = 0
    const crash: Around = async (step, _partition, call) => {
      if (step === 'commit') commits += 1
      if (step === 'commit' && commits > 6) throw new RiverbankError('test_crash', 'published, and not committed')
      return call()
    }
    await expect(work(crash)).rejects.toMatchObject({ code: 'test_crash' })
    await emptyStates(world, server.url)
    await write(lake, await contentOf(world))
    const other = rebuildWorld(world, lake, evolved, folder.dir)
    await expect(other, 'they would have other bytes').rejects.toMatchObject({ code: 'states_undrained' })
    expect(await rebuild()).toMatchObject({ resumed: false })
    await work()
    await checkAll()
  })
})
