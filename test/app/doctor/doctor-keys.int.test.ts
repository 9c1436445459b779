import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig, type Config } from '../../../src/app/installation/settings/config.ts'
import { keysFinding } from '../../../src/app/doctor/doctor-keys.ts'
import { openEventLog } from '../../../src/app/installation/servers/event-log.ts'
import { createTopics } from '../../../src/app/installation/servers/topics.ts'
import { partitionOf } from '../../../src/events/partitioner.ts'
import type { EventLog, OutgoingRecord } from '../../../src/ports/log.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'

describe.skipIf(redisAvailable() !== null)('doctor looks where producers put their keys', () => {
  let redis: TestRedis
  let config: Config
  let log: EventLog

  beforeAll(async () => {
    redis = await startTestRedis()
    config = readConfig({ REDIS_URL: redis.url, RIVERBANK_LOG_LEVEL: 'error' })
    log = await openEventLog(config)
    await createTopics(config, log)
  })
  afterAll(async () => {
    await log.close()
    await redis.stop()
  })

  const record = (key: string, partition?: number): OutgoingRecord => ({
    topic: 'payments.events',
    key,
    value: '{}',
    ...(partition === undefined ? {} : { partition }),
  })

  test('nothing is wrong with an empty log, nor with keys where Kafka puts them', async () => {
    expect(await keysFinding(config)).toMatchObject({ status: 'ok' })
    await log.publish(Array.from({ length: 900 }, (_, i) => record(`c${i}`)))
    expect(await keysFinding(config)).toMatchObject({ status: 'ok' })
  })

  test('a producer with another partitioner is found, with the setting to change', async () => {
    await log.publish([record('c1', (partitionOf('c1', 4) + 1) % 4)])
    const found = await keysFinding(config)
    expect(found.status).toBe('warn')
    expect(JSON.stringify(found)).toMatch(/1 of the \d+ newest events .*murmur2_random/)
  })
})
