import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RiverbankError } from '../../src/base/errors.ts'
import { openQuery } from '../../src/edges/duckdb/query.ts'
import { onlyFromWhole } from '../../src/lake/commit/damage.ts'
import { openLake } from '../../src/lake/commit/lake.ts'
import { backfillView } from '../../src/lake/rebuild/backfill.ts'
import { catalogOf } from '../../src/lake/tables/sql-catalog.ts'
import { renderVerify } from '../../src/lake/verify/text.ts'
import { StateMigration } from '../../src/process/assignment/state-migration.ts'
import type { FeaturePlan } from '../../src/engine/plan.ts'
import type { EntityFeatures } from '../../src/serve/features/feature-reader.ts'
import { createFeatureReader } from '../../src/serve/features/state-reader.ts'
import { tempFolder } from '../lake/support/feed.ts'
import { write } from '../lake/verify/support/world.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { contentOf, evolved, rebuildWorld, verifyWorld } from './support/evolution.ts'
import { emptyStates, statesOf } from './support/states.ts'
import { traffic } from './support/traffic.ts'
import { clock, compiled, quiet } from './support/wiring.ts'
import { World, type Around, type Step } from './support/world.ts'
import { testSeed as seed } from '../support/seed.ts'

const within = { deadlineMs: 60_000 }

/** Value and flag of each feature, by its name. */
function byName({ entities }: FeaturePlan, read: EntityFeatures | undefined) {
  const own = entities.find(({ name }) => name === read?.key.entity)
  return new Map(
    own?.features.map(({ name }, i) => {
      const flag = read?.flags.find(({ feature }) => feature === i)?.flag
      return [name, [read?.values[i], flag] as const] as const
    }),
  )
}

describe.skipIf(redisAvailable() !== null)(`states of another feature set, seed ${seed}`, () => {
  let server: TestRedis
  const folder = tempFolder()
  beforeAll(async () => {
    server = await startTestRedis()
  })
  afterAll(async () => {
    await server.stop()
    folder.remove()
  })

  async function feed(world: World, from: number, events: number): Promise<void> {
    const sent = traffic({ topic: world.topics.events, seed: seed + from, from, events, customers: 12, terminals: 5 })
    for (let at = 0; at < sent.length; at += 37) {
      await world.log.publish(sent.slice(at, at + 37).map(({ record }) => record))
    }
  }

  async function work(world: World): Promise<void> {
    const worker = await world.work()
    await Promise.race([eventually(() => world.isDone(), within), worker.finished])
    await worker.stop()
  }

  it('I1 to I3: goes on with a view more and a view less, and nothing else is touched', async () => {
    const world = await World.open({ url: server.url, namespace: 'rb', partitions: 3, maxRecords: 16 })
    await feed(world, 0, 300)
    await work(world)
    const before = await createFeatureReader(world.store, compiled.plan, clock).read(keys, readAtMs)
    const seen = await createFeatureReader(world.store, evolved.plan, clock).read(keys, readAtMs)
    for (const [i, features] of seen.entries()) {
      const earlier = byName(compiled.plan, before[i])
      for (const [name, [value, flag]] of byName(evolved.plan, features)) {
        const isNew = /^(terminal_takings|customer_ever)__/.test(name)
        if (isNew) expect(flag, name).toBe('incomplete')
        else expect([name, value, flag]).toEqual([name, ...(earlier.get(name) ?? [])])
      }
    }
    expect(await createFeatureReader(world.store, compiled.plan, clock).read(keys, readAtMs)).toEqual(before)

    const lake = await openLake({ dir: folder.dir })
    await write(lake, await contentOf(world))
    const next = await world.evolved(evolved)
    await feed(next, 300, 300)
    await work(next)
    await write(lake, await contentOf(next), 20, evolved.lakeSchema)
    const report = await verifyWorld(next, lake, evolved)
    expect(report, renderVerify(report)).toMatchObject({ ok: true, mismatches: 0, violations: 0 })
    const { counts } = report.invariants.I3
    expect(counts['incomplete values']).toBeGreaterThan(0)
    expect(counts['score rows']).toBeGreaterThan(100)

    // Its history, while processors run: from then on nothing is incomplete, and everything is as if it had always
    // been.
    const worker = await next.work()
    const feeding = feed(next, 600, 200)
    const backfill = async (view: string, limit = Infinity) => {
      let left = limit
      const response = await lake.snapshot()
      const { setup } = catalogOf(lake, response, evolved.lakeSchema)
      const query = await openQuery({ threads: 1, memoryMb: 512, tempDir: folder.dir, tempMb: 1_024, setup })
      const committed = await next.log.committed(next.group, next.topics.events)
      const { plan, lakeSchema: schema } = evolved
      try {
        return await backfillView({
          ...{
            store: next.store,
            query,
            plan,
            schema,
            topics: next.topics,
            committed,
            clock,
          },
          view,
          decode: (entity, blobs) => migrationOf(next).decode(entity, blobs, next.topics.events),
          rowsPerChunk: 100,
          fromWhole: (read) => onlyFromWhole(lake, response, read),
          onProgress: () => {
            left -= 1
            if (left === 0) throw new Error('the power went')
          },
        })
      } finally {
        query.close()
      }
    }
    await expect(backfill('terminal_takings', 1)).rejects.toThrow('the power went')
    await backfill('terminal_takings')
    expect(await backfill('terminal_takings'), 'a second time').toMatchObject({ migrated: 0, filled: 0, left: 0 })
    expect(await backfill('customer_ever')).toMatchObject({ left: 0 })
    await feeding
    await eventually(() => next.isDone(), within)
    await worker.stop()
    await feed(next, 800, 100)
    await work(next)
    const after = await createFeatureReader(next.store, evolved.plan, clock).read(keys, readAtMs)
    for (const { flags } of after) expect(flags.map(({ flag }) => flag)).not.toContain('incomplete')
    await write(lake, await contentOf(next), 20, evolved.lakeSchema)
    const whole = await verifyWorld(next, lake, evolved)
    expect(whole, renderVerify(whole)).toMatchObject({ ok: true, mismatches: 0, violations: 0 })
    // And as an installation that had the view from the start: the same states, computed from the first event on.
    const online = await statesOf(next, server.url, evolved)
    await emptyStates(next, server.url)
    await rebuildWorld(next, lake, evolved, folder.dir)
    expect(await statesOf(next, server.url, evolved)).toEqual(online)
    await Promise.all([world.close(), next.close()])
  })

  it.each<[string, Step]>([
    ['published, and not committed', 'commit'],
    ['written, and no position knows it', 'advance'],
  ])('stops where the other version has not drained: %s', async (_name, step) => {
    const world = await World.open({ url: server.url, namespace: `undrained-${step}`, partitions: 1, maxRecords: 16 })
    await feed(world, 0, 40)
    let calls = 0
    const crash: Around = async (at, _partition, call) => {
      if (at === step) calls += 1
      if (at === step && calls > 1) throw new RiverbankError('test_crash', step)
      return call()
    }
    const crashed = await world.work(crash)
    await expect(crashed.finished).rejects.toMatchObject({ code: 'test_crash' })
    await crashed.stop()
    const next = await world.evolved(evolved)
    const refused = await next.work()
    await expect(refused.finished).rejects.toMatchObject({ code: 'states_undrained' })
    await refused.stop()
    await work(world)
    await work(next)
    await Promise.all([world.close(), next.close()])
  })
})

const readAtMs = Date.UTC(2026, 2, 1) + 300 * 40_000
const keys = [
  ...Array.from({ length: 12 }, (_, i) => ({ entity: 'customer', id: `c${i}` })),
  ...Array.from({ length: 5 }, (_, i) => ({ entity: 'terminal', id: `t${i}` })),
]

function migrationOf({ store, log, group }: World): StateMigration {
  return new StateMigration({
    store,
    plan: evolved.plan,
    committed: (topic) => log.committed(group, topic),
    clock,
    logger: quiet,
  })
}
