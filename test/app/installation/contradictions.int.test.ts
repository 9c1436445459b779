import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installationProbes } from '../../../src/app/doctor/doctor-probes.ts'
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { acceptedText } from '../../../src/app/installation/contradictions.ts'
import { definitions } from '../../../src/app/installation/settings/definitions.ts'
import { openEventLog, openStateStore } from '../../../src/app/installation/servers/event-log.ts'
import { createTopics } from '../../../src/app/installation/servers/topics.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { takeOwnership } from '../../../src/lake/materialize/flush.ts'
import { stateMetadata } from '../../../src/ports/states.ts'
import { riverbank } from '../../e2e/support/program.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'

const unread = ['process', 'serve', 'materialize', 'up'] as const

describe.skipIf(redisAvailable() !== null)('settings that contradict what exists', () => {
  let redis: TestRedis
  let dir: string
  let env: Record<string, string>

  beforeAll(async () => {
    redis = await startTestRedis()
    dir = mkdtempSync(join(tmpdir(), 'riverbank-existing-'))
    env = { REDIS_URL: redis.url, RIVERBANK_DATA_DIR: dir, RIVERBANK_HTTP_PORT: '0', RIVERBANK_LOG_LEVEL: 'error' }
    const config = readConfig(env)
    const log = await openEventLog(config)
    await createTopics(config, log)
    await log.close()
    const store = await openStateStore(config)
    await store.replaceMetadata(stateMetadata.log, null, 'redis')
    await store.close()
    const lake = await openLake({ dir: join(dir, 'lake') })
    await takeOwnership(lake, { topic: 'payments.events', partition: 0, owner: 'somebody' })
    const covered = [{ topic: 'payments.events', partition: 0, from: null, next: 5 }]
    await lake.log.commit({ owner: 'somebody', covered })
  })
  afterAll(async () => {
    await redis.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test.each([...unread, 'topics create'])(
    '%s refuses another number of partitions, and says what to do',
    async (name) => {
      const { code, stderr } = await riverbank(name.split(' '), { ...env, RIVERBANK_PARTITIONS: '8' })
      expect(code).toBe(1)
      expect(stderr).toContain('topic_mismatch')
      expect(stderr).toContain('topic payments.events has 4 partitions, RIVERBANK_PARTITIONS asks for 8')
      expect(stderr).toContain('set RIVERBANK_PARTITIONS=4')
    },
  )

  test.each(['process', 'serve', 'up'])('%s refuses states that were made of other accepted values', async (name) => {
    const other = { ...env, RIVERBANK_NAMESPACE: 'yen', RIVERBANK_DATA_DIR: join(dir, 'yen') }
    const store = await openStateStore(readConfig(other))
    const before = await store.metadata(stateMetadata.accepts)
    await store.replaceMetadata(stateMetadata.accepts, before, '[["payment.initiated",[["currency",["JPY"]]]]]')
    await store.close()
    const { code, stderr } = await riverbank([name], other)
    expect(code).toBe(1)
    expect(stderr).toContain('accepted_mismatch')
    expect(stderr).toContain('JPY')
  })

  test.each(unread)('%s refuses another currency than the states were made of, and says what to do', async (name) => {
    const { config, settings } = await madeOf('EUR', `euro-${name}`)
    const { code, stderr } = await riverbank([name], { ...settings, RIVERBANK_CURRENCY: 'USD' })
    expect(code).toBe(1)
    expect(stderr).toContain('accepted_mismatch')
    expect(stderr).toMatch(/accept \S*EUR\S*, the definitions say \S*USD/)
    expect(stderr).toContain('set RIVERBANK_CURRENCY as before')
    const belonging = async (currency: string) => {
      const probes = installationProbes(readConfig({ ...settings, RIVERBANK_CURRENCY: currency }))
      return probes.find((probe) => probe.name === 'belonging')?.run()
    }
    expect(config.projectSettings['CURRENCY']).toBe('EUR')
    expect(await belonging('USD')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('accepted_mismatch') as string,
      fix: expect.stringContaining('RIVERBANK_CURRENCY') as string,
    })
    expect(await belonging('EUR')).toMatchObject({ status: 'ok' })
  })

  test('lake repair reads nothing from the log with another currency: its rows would be other ones', async () => {
    const { settings } = await madeOf('EUR', 'repaired')
    const lake = await openLake({ dir: join(settings.RIVERBANK_DATA_DIR, 'lake') })
    await takeOwnership(lake, { topic: 'repaired.payments.events', partition: 0, owner: 'somebody' })
    const { code, stderr } = await riverbank(['lake', 'repair'], { ...settings, RIVERBANK_CURRENCY: 'USD' })
    expect([code, stderr]).toEqual([1, expect.stringContaining('accepted_mismatch') as string])
    expect(await riverbank(['lake', 'repair'], settings)).toMatchObject({ code: 0 })
  })

  /** An installation of its own whose states were made in a currency. */
  async function madeOf(currency: string, namespace: string) {
    const settings = { ...env, RIVERBANK_NAMESPACE: namespace, RIVERBANK_DATA_DIR: join(dir, namespace) }
    const config = readConfig({ ...settings, RIVERBANK_CURRENCY: currency })
    const store = await openStateStore(config)
    await store.replaceMetadata(stateMetadata.accepts, null, acceptedText(definitions(config).set.events))
    await store.close()
    return { config, settings }
  }

  test('serve refuses a lake of another namespace', async () => {
    const other = { ...env, RIVERBANK_NAMESPACE: 'other' }
    const { code, stderr } = await riverbank(['serve'], other)
    expect(code).toBe(1)
    expect(stderr).toContain('lake_mismatch')
    expect(stderr).toContain(`the lake in ${join(dir, 'lake')} holds payments.events`)
  })

  test('doctor says the same of partitions, log and lake', async () => {
    const found = async (settings: Record<string, string>, check: string) => {
      const probe = installationProbes(readConfig({ ...env, ...settings })).find(({ name }) => name === check)
      return probe?.run()
    }
    expect(await found({ RIVERBANK_PARTITIONS: '8' }, 'topics')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('topic payments.events has 4 partitions') as string,
      fix: expect.stringContaining('set RIVERBANK_PARTITIONS=4') as string,
    })
    const kafka = { RIVERBANK_LOG: 'kafka', KAFKA_BROKERS: '127.0.0.1:1' }
    expect(await found(kafka, 'belonging')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining(
        'log_mismatch: the states of namespace rb were made from the redis log',
      ) as string,
    })
    expect(await found({ RIVERBANK_NAMESPACE: 'other' }, 'belonging')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('lake_mismatch') as string,
    })
    expect(await found({}, 'belonging')).toMatchObject({ status: 'ok' })
  })
})
