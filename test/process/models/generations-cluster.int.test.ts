import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestCluster, type TestCluster } from '../../support/redis-cluster.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { eventually } from '../../support/wait.ts'
import { Operator, serve } from '../support/models.ts'
import { traffic } from '../support/traffic.ts'
import { World } from '../support/world.ts'
import { testSeed as seed } from '../../support/seed.ts'

const within = { deadlineMs: 60_000 }

describe.skipIf(redisAvailable() !== null)(`generations of models beside states on a cluster, seed ${seed}`, () => {
  let server: TestRedis
  let cluster: TestCluster
  beforeAll(async () => {
    server = await startTestRedis()
    cluster = await startTestCluster()
  })
  afterAll(() => Promise.all([server.stop(), cluster.stop()]))

  it('I2: promotions and a rollback while workers come and go: each offset by one generation', async () => {
    const place = { url: server.url, statesSeeds: cluster.seeds, namespace: 'spread' }
    const world = await World.open({ ...place, partitions: 2, maxRecords: 8 })
    const operator = await Operator.of(world)
    const start = async () => {
      const scoring = await serve(world)
      const worker = await world.work(undefined, { scoring })
      return { stop: () => worker.stop().then(() => scoring.close()) }
    }
    let sent = 0
    const send = async (events: number) => {
      const options = { topic: world.topics.events, seed: seed + sent, events, from: sent, customers: 12, terminals: 4 }
      sent += events
      await world.log.publish(traffic(options).map(({ record }) => record))
    }
    let worker = await start()
    await send(40)
    await eventually(() => world.isDone(), within)
    let newest = 1
    for (const change of ['promote', 'shadow', 'rollback'] as const) {
      const [joined, number] = await Promise.all([start(), operator.do(change, newest + 1)])
      newest = number
      await send(40)
      await worker.stop()
      worker = joined
      await eventually(async () => (await operator.live(number)) === 2, within)
      await send(20)
      await eventually(() => world.isDone(), within)
    }
    await worker.stop()
    const { byGeneration } = await operator.check()
    expect([...byGeneration.keys()].toSorted()).toEqual([1, 2, 3, 4])
    expect(world.witness.violations).toEqual([])
    await operator.store.close()
    await world.close()
  })
})
