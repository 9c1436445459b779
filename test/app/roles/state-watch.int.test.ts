import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { contradictions } from '../../../src/app/installation/contradictions.ts'
import { openEventLog, openStateStore } from '../../../src/app/installation/servers/event-log.ts'
import { systemClock } from '../../../src/app/roles/lifecycle/role.ts'
import { readStatusOnce, startStateWatch, type StateWatch } from '../../../src/app/roles/state-watch.ts'
import { pinoLogger } from '../../../src/edges/pino/logger.ts'
import { prometheusMeter } from '../../../src/edges/prometheus/meter.ts'
import { createTopics } from '../../../src/app/installation/servers/topics.ts'
import { takeOwnership } from '../../../src/lake/materialize/flush.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import type { EventLog } from '../../../src/ports/log.ts'
import type { StateStore } from '../../../src/ports/states.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'

const topic = 'payments.events'

describe.skipIf(redisAvailable() !== null)('a look at the states beside a lake that lost a commit', () => {
  const dir = mkdtempSync(join(tmpdir(), 'riverbank-look-'))
  let redis: TestRedis
  let log: EventLog
  let store: StateStore
  let config: ReturnType<typeof readConfig>

  beforeAll(async () => {
    redis = await startTestRedis()
    config = readConfig({ REDIS_URL: redis.url, RIVERBANK_DATA_DIR: dir })
    log = await openEventLog(config)
    store = await openStateStore(config)
    await createTopics(config, log)
    for (let partition = 0; partition < config.PARTITIONS; partition += 1) await store.advance(topic, partition, 1)
    const lake = await openLake({ dir: join(dir, 'lake') })
    for (const partition of [0, 1, 2]) await takeOwnership(lake, { topic, partition, owner: 'somebody' })
    const [, second] = readdirSync(join(dir, 'lake', '_log')).filter((name) => /^\d+\.json$/.test(name))
    rmSync(join(dir, 'lake', '_log', second ?? 'there is a second commit'))
  })
  afterAll(async () => {
    await Promise.allSettled([log.close(), store.close()])
    await redis.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test('goes by store and log: scoring does not wait for a repair of the lake', async () => {
    const damaged = await openLake({ dir: join(dir, 'lake') })
    await expect(damaged.snapshot()).rejects.toMatchObject({ code: 'lake_corrupt' })
    const look = () => readStatusOnce({ config, log, store, featureSet: 'any' }, { bindsLake: true })
    expect(await look()).toEqual({ kind: 'whole' })
    await store.replaceMetadata('rebuild', null, 'begun')
    expect(await look()).toMatchObject({ kind: 'refused', code: 'state_rebuilding' })
  })

  test('contradicts no setting', async () => {
    expect(await contradictions(config, { log, store, lake: true })).toEqual([])
  })
})

describe.skipIf(redisAvailable() !== null)('a status that is confirmed for a reader who found no state', () => {
  const dir = mkdtempSync(join(tmpdir(), 'riverbank-confirm-'))
  let redis: TestRedis
  let log: EventLog
  let store: StateStore
  let watch: StateWatch
  let config: ReturnType<typeof readConfig>

  beforeAll(async () => {
    redis = await startTestRedis()
    config = readConfig({ REDIS_URL: redis.url, RIVERBANK_DATA_DIR: dir, RIVERBANK_STATES_CHECK_MS: '5000' })
    log = await openEventLog(config)
    store = await openStateStore(config)
    await createTopics(config, log)
    for (let partition = 0; partition < config.PARTITIONS; partition += 1) await store.advance(topic, partition, 1)
    const meter = prometheusMeter({ processMetrics: false, constantLabels: {} })
    watch = await startStateWatch({
      config,
      log,
      store,
      featureSet: 'any',
      clock: systemClock,
      logger: pinoLogger({ level: 'silent', fields: {} }),
      meter,
    })
  })
  afterAll(async () => {
    await watch.stop()
    await Promise.allSettled([log.close(), store.close()])
    await redis.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test('stands while the store has every position, and falls with the first that is gone', async () => {
    expect(await watch.confirm()).toEqual({ kind: 'whole' })
    const emptying = new Redis(redis.url)
    await emptying.del(`${config.NAMESPACE}:positions:${topic}`)
    emptying.disconnect()
    expect(watch.statesStatus()).toEqual({ kind: 'whole' })
    expect(await watch.confirm()).toMatchObject({ kind: 'refused' })
    expect(watch.statesStatus()).toMatchObject({ kind: 'refused' })
  })
})
