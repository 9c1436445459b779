import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Check } from '../../../src/app/doctor/doctor.ts'
import { freePort } from '../../../src/edges/redis/server/server.ts'
import { startTestCluster } from '../../support/redis-cluster.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { built } from '../../support/built.ts'

const root = new URL('../../..', import.meta.url).pathname

async function doctor(env: Readonly<Record<string, string>>): Promise<{ code: number; check(name: string): Check }> {
  const child = spawn(process.execPath, [built('src/main.ts'), 'doctor', '--json'], {
    cwd: root,
    // A busy machine answers late; what is tested is what it answers.
    env: { PATH: process.env['PATH'], RIVERBANK_STATE_TIMEOUT_MS: '10000', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const code = new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? -1)))
  const checks = (await json(child.stdout)) as Check[]
  const check = (name: string): Check => {
    const found = checks.find((one) => one.name === name)
    if (found === undefined) throw new Error(`no check "${name}"`)
    return found
  }
  return { code: await code, check }
}

describe.skipIf(redisAvailable() !== null)('riverbank doctor', () => {
  let good: TestRedis
  let evicting: TestRedis

  beforeAll(async () => {
    good = await startTestRedis()
    evicting = await startTestRedis({ extraArgs: ['--maxmemory-policy', 'allkeys-lru'] })
  })

  afterAll(async () => {
    await good.stop()
    await evicting.stop()
  })

  test('a good installation has no failed check, and stays as it was', async () => {
    const port = await freePort()
    const { code, check } = await doctor({ REDIS_URL: good.url, RIVERBANK_HTTP_PORT: String(port) })
    expect(check('redis server')).toMatchObject({ status: 'ok' })
    expect(check('http port')).toMatchObject({ status: 'ok' })
    expect(check('topics')).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('payments.events') as string,
    })
    expect(check('duckdb')).toMatchObject({ status: 'ok' })
    expect(code).toBe(0)
    const again = await doctor({ REDIS_URL: good.url, RIVERBANK_HTTP_PORT: String(port) })
    expect(again.check('topics')).toMatchObject({ status: 'warn' })
  })

  test('a server that evicts fails, a port that is taken warns', async () => {
    const taken = createServer()
    const port = await freePort()
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve))
    const { code, check } = await doctor({ REDIS_URL: evicting.url, RIVERBANK_HTTP_PORT: String(port) })
    taken.close()
    expect(check('redis server')).toMatchObject({
      status: 'fail',
      fix: expect.stringContaining('noeviction') as string,
    })
    expect(check('http port').status).toBe('warn')
    expect(code).toBe(1)
  })

  test('a cluster is seen whole, and told from a single server', async () => {
    const cluster = await startTestCluster()
    const [seed = ''] = cluster.seeds
    const right = await doctor({ REDIS_URL: good.url, RIVERBANK_STATES_URL: cluster.url, RIVERBANK_HTTP_PORT: '0' })
    const wrong = await doctor({ REDIS_URL: good.url, RIVERBANK_STATES_URL: seed, RIVERBANK_HTTP_PORT: '0' })
    await cluster.stop()
    expect(right.check('redis server').status).toBe('ok')
    expect(right.check('states cluster')).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('3 primaries, 0 replicas, cluster_state ok') as string,
    })
    expect(right.code).toBe(0)
    expect(wrong.check('states server')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('name a cluster as redis+cluster://') as string,
    })
  })

  test('what cannot be reached fails within its limit, and the rest is still checked', async () => {
    const port = await freePort()
    const env = { REDIS_URL: `redis://127.0.0.1:${port}`, RIVERBANK_LOG: 'kafka', KAFKA_BROKERS: `127.0.0.1:${port}` }
    const { code, check } = await doctor(env)
    for (const name of ['redis server', 'kafka brokers', 'topics']) expect(check(name).status).toBe('fail')
    expect(check('feature set').status).toBe('ok')
    expect(code).toBe(1)
  })

  test('a wrong configuration is named, the machine is still checked', async () => {
    const { code, check } = await doctor({ RIVERBANK_PARTITIONS: 'many' })
    expect(check('configuration')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('RIVERBANK_PARTITIONS') as string,
    })
    expect(check('node').status).toBe('ok')
    expect(code).toBe(1)
  })
})
