import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hashSlotOf } from '../../../../src/edges/redis/cluster/hash-slots.ts'
import { clusterStateKey, openClusterStateStore } from '../../../../src/edges/redis/cluster/cluster-state-store.ts'
import { openRedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import { bucketOf, stateBuckets } from '../../../../src/edges/redis/states/state-buckets.ts'
import { openRedisStateStore } from '../../../../src/edges/redis/states/state-store.ts'
import { isRiverbankError } from '../../../../src/base/errors.ts'
import type { EntityKey, StateStore } from '../../../../src/ports/states.ts'
import { blob, customer, sequenceOf, write } from '../../../contract/state-probe.ts'
import { startTestCluster, type TestCluster } from '../../../support/redis-cluster.ts'
import { redisAvailable, startTestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

const within = { deadlineMs: 30_000 }

describe.skipIf(redisAvailable() !== null)('states on a redis cluster', () => {
  let cluster: TestCluster
  const stores: StateStore[] = []
  beforeAll(async () => {
    cluster = await startTestCluster()
  })
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()))
  })
  afterAll(() => cluster.stop())
  const open = async (namespace: string): Promise<StateStore> => {
    const store = await openClusterStateStore({ seeds: cluster.seeds, namespace, commandTimeoutMs: 2_000 })
    stores.push(store)
    return store
  }

  /** Until it is written, as the pipeline does: again while that can help. */
  const retrying = <Value>(call: () => Promise<Value>): Promise<{ readonly value: Value }> =>
    eventually(async () => {
      try {
        return { value: await call() }
      } catch (error) {
        if (isRiverbankError(error, 'state_unavailable') && error.canRetry) return null
        throw error
      }
    }, within).then((found) => found ?? { value: undefined as never })

  it('computes slots as the server does', async () => {
    const [node] = cluster.nodes
    for (const key of ['', 'ü', '{}foo', 'a{ü}{b}', '{a', 'a}b{c}', ...stateBuckets.map(({ tag }) => `x:{${tag}}:y`)]) {
      expect(await node?.call('CLUSTER', 'KEYSLOT', key), key).toBe(hashSlotOf(key))
    }
  })

  it('spreads keys and positions over all nodes, many keys in one call', async () => {
    const store = await open('spread')
    const keys = Array.from({ length: 3_000 }, (_, i): EntityKey => ({
      entity: i % 2 === 0 ? 'customer' : 'terminal',
      id: `${i}`,
    }))
    const done = await store.compareAndSet(keys.map((key, i) => write(key, null, blob(i + 1, i))))
    expect(done).toEqual(keys.map(() => true))
    await store.advance('events', 3, 77)
    expect(await store.positions('events')).toEqual(new Map([[3, 77]]))
    const found = await store.load([...keys].reverse())
    expect(found.map((bytes) => bytes && sequenceOf(bytes)).reverse()).toEqual(keys.map((_, i) => i + 1))
    for (const { call } of cluster.nodes) {
      const held = (await call('KEYS', 'spread:state:*')) as string[]
      expect(held.length).toBeGreaterThan(900)
      expect(((await call('KEYS', 'spread:positions:*')) as string[]).length).toBeGreaterThan(20)
    }
    expect(store.epoch).toBe(1)
  })

  it('sends a script again, in full, to a node that does not know it', async () => {
    const store = await open('scripts')
    const keys = Array.from({ length: 200 }, (_, i) => customer(`${i}`))
    await store.compareAndSet(keys.map((key) => write(key, null, blob(1))))
    for (const { call } of cluster.nodes) await call('SCRIPT', 'FLUSH')
    const written = await store.compareAndSet(keys.map((key) => write(key, blob(1), blob(2))))
    expect(written).toEqual(keys.map(() => true))
    expect(store.epoch).toBe(1)
  })

  it('loses no write and applies none twice while a slot moves, and moves the epoch when it has', async () => {
    const [writer, other] = [await open('moving'), await open('moving')]
    const { hashSlot } = bucketOf(customer('hot'))
    const inSlot = (key: EntityKey) => bucketOf(key).hashSlot === hashSlot
    const keys = Array.from({ length: 4_000 }, (_, i) => customer(`${i}`)).filter(inSlot)
    expect(keys.length).toBeGreaterThan(30)
    await writer.compareAndSet(keys.map((key) => write(key, null, blob(1))))
    const from = await cluster.ownerOf(clusterStateKey('moving', keys[0] ?? customer('')))
    const to = cluster.nodes.find((node) => node !== from) ?? from
    const before = [writer.epoch, other.epoch]

    let stopped = false
    const won = new Map<string, number>()
    // A call that failed may have written some; whoever is overtaken before the next try cannot tell which.
    const unsure = new Map<string, number>()
    const counting = async (store: StateStore, name: number): Promise<number> => {
      let rounds = 0
      for (; !stopped; rounds += 1) {
        const { value: found } = await retrying(() => store.load(keys))
        const writes = found.map((bytes, i) => {
          const sequence = bytes === null ? NaN : sequenceOf(bytes)
          return write(keys[i] ?? customer(''), bytes, blob(sequence + 1, (rounds + 1) * 2 + name))
        })
        let tries = 0
        const { value: answers } = await retrying(() => {
          tries += 1
          return store.compareAndSet(writes)
        })
        for (const [i, answer] of answers.entries()) {
          const id = keys[i]?.id ?? ''
          const counts = answer ? won : unsure
          if (answer || tries > 1) counts.set(id, (counts.get(id) ?? 0) + 1)
        }
      }
      return rounds
    }
    const counters = [counting(writer, 0), counting(other, 1)]
    await cluster.beginMove(hashSlot, from, to)
    // Half of the keys here, half there: calls for several of them are refused by both nodes.
    await cluster.moveKeys(hashSlot, from, to, Math.ceil(keys.length / 2))
    const half = won.get(keys[0]?.id ?? '') ?? 0
    await eventually(() => (won.get(keys[0]?.id ?? '') ?? 0) > half + 10, within)
    const fresh = Array.from({ length: 9_000 }, (_, i) => customer(`new-${i}`)).filter(inSlot)
    const made = await retrying(() => writer.compareAndSet(fresh.map((key) => write(key, null, blob(1)))))
    expect(made.value).toEqual(fresh.map(() => true))
    expect([writer.epoch, other.epoch], 'nothing is lost by asking').toEqual(before)
    while ((await cluster.moveKeys(hashSlot, from, to, 100)) > 0);
    await cluster.endMove(hashSlot, to)
    const whole = won.get(keys[0]?.id ?? '') ?? 0
    await eventually(() => (won.get(keys[0]?.id ?? '') ?? 0) > whole + 10, within)
    stopped = true
    const rounds = await Promise.all(counters)

    expect(Math.min(...rounds)).toBeGreaterThan(10)
    expect(writer.epoch).toBeGreaterThan(before[0] ?? 0)
    expect(other.epoch).toBeGreaterThan(before[1] ?? 0)
    const { value: last } = await retrying(() => writer.load(keys))
    for (const [i, bytes] of last.entries()) {
      const id = keys[i]?.id ?? ''
      const applied = (bytes === null ? 0 : sequenceOf(bytes)) - 1
      expect(applied, id).toBeGreaterThanOrEqual(won.get(id) ?? 0)
      expect(applied, id).toBeLessThanOrEqual((won.get(id) ?? 0) + (unsure.get(id) ?? 0))
    }
    expect((await writer.load(fresh)).filter((bytes) => bytes === null)).toEqual([])
  })

  it('moves the epoch when one node restarts, and stays exact', async () => {
    const store = await open('restart')
    const keys = Array.from({ length: 300 }, (_, i) => customer(`${i}`))
    await store.compareAndSet(keys.map((key) => write(key, null, blob(1))))
    const { epoch } = store
    const [node] = cluster.nodes
    await node?.server.kill()
    await node?.server.restart()
    await eventually(() => store.epoch > epoch, within)
    const again = await retrying(() => store.compareAndSet(keys.map((key) => write(key, blob(1), blob(2)))))
    expect(again.value).toEqual(keys.map(() => true))
    expect(await store.compareAndSet(keys.map((key) => write(key, blob(1), blob(3))))).toEqual(keys.map(() => false))
    const { epoch: after } = store
    await store.load(keys)
    expect(store.epoch).toBe(after)
    await cluster.untilWorking()
  })

  it('knows no position that one of the nodes does not know', async () => {
    const store = await open('lost')
    await store.advance('events', 0, 10)
    await store.advance('events', 1, 20)
    const [node] = cluster.nodes
    const [held] = (await node?.call('KEYS', 'lost:positions:*')) as string[]
    await node?.call('HSET', held ?? '', 0, 4)
    await node?.call('HDEL', held ?? '', 1)
    expect(await store.positions('events')).toEqual(new Map([[0, 4]]))
    await store.advance('events', 0, 11)
    await store.advance('events', 1, 21)
    expect(await store.positions('events')).toEqual(
      new Map([
        [0, 11],
        [1, 21],
      ]),
    )
  })

  it('finds all nodes through one seed, and says what is not a cluster', async () => {
    const options = { namespace: 'one', commandTimeoutMs: 2_000 }
    const [seed = ''] = cluster.seeds
    const store = await openClusterStateStore({ ...options, seeds: [seed] })
    stores.push(store)
    expect(await store.load(Array.from({ length: 100 }, (_, i) => customer(`${i}`)))).toHaveLength(100)
    const single = await startTestRedis()
    await expect(openClusterStateStore({ ...options, seeds: [single.url] })).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining('no node of a Redis Cluster') as string,
    })
    await single.stop()
    for (const open of [openRedisStateStore, openRedisEventLog]) {
      await expect(open({ ...options, url: seed })).rejects.toMatchObject({
        code: 'invalid_config',
        message: expect.stringContaining('is a node of a Redis Cluster') as string,
      })
    }
  })
})
