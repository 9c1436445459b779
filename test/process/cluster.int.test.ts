import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isRiverbankError } from '../../src/base/errors.ts'
import { startTestCluster, type TestCluster } from '../support/redis-cluster.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { checkInvariants } from './support/invariants.ts'
import { traffic } from './support/traffic.ts'
import { World } from './support/world.ts'
import { testSeed as seed } from '../support/seed.ts'

const within = { deadlineMs: 60_000 }

describe.skipIf(redisAvailable() !== null)(`the pipeline with its states on a cluster, seed ${seed}`, () => {
  let server: TestRedis
  let cluster: TestCluster
  let world: World
  beforeAll(async () => {
    server = await startTestRedis()
    cluster = await startTestCluster()
    const place = { url: server.url, statesSeeds: cluster.seeds, namespace: 'spread' }
    world = await World.open({ ...place, partitions: 2, maxRecords: 8 })
  })
  afterAll(async () => {
    await world.close()
    await Promise.all([server.stop(), cluster.stop()])
  })

  it('I1 to I4: two workers and one node that restarts', async () => {
    let stopped = false
    let batches = 0
    // As its supervisor does: a primary that joins again answers for seconds that the cluster is down, longer than the
    // tries of a worker here.
    const supervised = async (): Promise<void> => {
      while (!stopped) {
        const worker = await world.work().catch(() => null)
        if (worker === null) continue
        const ended = worker.finished.catch((error: unknown) => {
          if (!isRiverbankError(error, 'state_unavailable')) throw error
        })
        await Promise.race([ended, eventually(() => stopped, { deadlineMs: 100_000 })])
        await worker.stop()
        batches += worker.counts.batches
      }
    }
    const workers = [supervised(), supervised()]
    const sent = traffic({ topic: world.topics.events, seed, events: 400, customers: 20, terminals: 5 })
    const records = sent.map(({ record }) => record)
    await world.log.publish(records.slice(0, 200))
    const committed = async () => [...(await world.log.committed(world.group, world.topics.events)).values()]
    await eventually(async () => (await committed()).reduce((sum, next) => sum + next, 0) > 20, within)
    const [node] = cluster.nodes
    await node?.server.kill()
    await world.log.publish(records.slice(200))
    await node?.server.restart()
    await Promise.race([eventually(() => world.isDone(), within), Promise.all(workers)])
    stopped = true
    await Promise.all(workers)
    await cluster.untilWorking()
    expect(batches).toBeGreaterThan(10)
    const { told } = await checkInvariants(world)
    expect(told.length).toBeGreaterThan(300)
    expect(world.witness.violations).toEqual([])
  })
})
