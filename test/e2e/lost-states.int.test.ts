import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import type { VerifyReport } from '../../src/app/installation/lake/verify.ts'
import { startInstallation, type TestInstallation } from './support/installation.ts'
import { payment } from './support/payment.ts'

const reason = redisAvailable()
const patience = { deadlineMs: 60_000, everyMs: 50 }
const skipped = reason === null ? '' : ` (skipped: ${reason})`

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
}

function clientOf(rb: TestInstallation) {
  const send = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(`${rb.url}${path}`, init)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const get = (path: string) => send(path)
  const post = (path: string, body: unknown) =>
    send(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return { get, post }
}

const features = (id: string) => `/v1/entities/customer/${id}/features`
const many = { features: ['customer_spend__payment_count_1d'], entities: { customer: ['c-e2e', 'c-new'] } }
const flush = async (url: string) => {
  const redis = new Redis(url)
  await redis.flushall()
  redis.disconnect()
}

describe.skipIf(reason !== null)(`states that are emptied under running roles${skipped}`, () => {
  let rb: TestInstallation
  let states: TestRedis

  beforeAll(async () => {
    states = await startTestRedis()
    rb = await startInstallation({ RIVERBANK_STATES_URL: states.url })
  })

  afterAll(async () => {
    await rb.remove()
    await states.stop()
  })

  test('are refused by every door, and rebuild brings them back while the roles run (R7)', async () => {
    const { get, post } = clientOf(rb)
    for (let n = 0; n < 20; n += 1) {
      const sent = await post('/v1/events?wait=20000', payment(`p-${n}`, { amountMinor: 1_000 + n }))
      expect(sent.status, JSON.stringify(sent.body)).toBe(200)
    }
    const before = (await get(features('c-e2e'))).body['values']
    expect((await get('/readyz')).status).toBe(200)

    await flush(states.url)
    // The very next read: an entity without a state is answered only after a look.
    expect(await get(features('c-e2e'))).toMatchObject({
      status: 503,
      body: {
        type: 'urn:riverbank:problem:state_lost',
        detail: expect.stringContaining('riverbank rebuild') as string,
      },
    })
    for (const path of ['/v1/features', '/get-online-features']) {
      expect(await post(path, many), path).toMatchObject({ status: 503, body: { code: 'state_lost' } })
    }
    expect(await get('/readyz')).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining('state_lost') as string },
    })
    expect(await (await fetch(`${rb.url}/metrics`)).text()).toMatch(
      /riverbank_states\{[^}]*status="state_lost"[^}]*\} 1/,
    )
    const doctor = await rb.run('doctor', '--json')
    expect(doctor.code).toBe(1)
    const checks = JSON.parse(doctor.stdout) as { name: string; status: string; fix: string | null }[]
    expect(checks.find(({ name }) => name === 'states')).toMatchObject({
      status: 'fail',
      fix: expect.stringContaining('riverbank rebuild') as string,
    })

    // Taken meanwhile, and answered after the rebuild.
    expect((await post('/v1/events', payment('p-meanwhile'))).status).toBe(202)
    const starts = rb.starts('process-1')
    const rebuilt = await rb.run('rebuild', '--json')
    expect(rebuilt.code, rebuilt.stderr).toBe(0)
    await eventually(async () => (await get('/readyz')).status === 200, { ...patience, what: 'serve is ready again' })
    await eventually(async () => (await get('/v1/scores/p-meanwhile')).status === 200, {
      ...patience,
      what: 'the payment that waited is scored',
    })
    expect(rb.starts('process-1'), 'nobody was restarted').toBe(starts)
    const after = (await get(features('c-e2e'))).body['values'] as Record<string, number>
    const counted = (before as Record<string, number>)['customer_spend__payment_count_1d'] ?? 0
    expect(after['customer_spend__payment_count_1d']).toBe(counted + 1)
    const report = (await rb.json('verify', '--states', 'all')) as VerifyReport
    expect(report).toMatchObject({ ok: true, violations: 0 })
    expect(report.invariants.I2.counts['copies']).toBe(0)
  })
})

describe.skipIf(reason !== null)(`one Redis for log and states that is emptied${skipped}`, () => {
  test('ends every role with log_recreated, and up does not begin anew beside the lake', async () => {
    const rb = await startInstallation()
    try {
      const { get, post } = clientOf(rb)
      expect((await post('/v1/events?wait=20000', payment('p-1'))).status).toBe(200)
      const counted = async () => {
        const { body } = await post('/v1/sql', { sql: 'SELECT count(*) FROM scores' })
        return (body['rows'] as unknown[][] | undefined)?.[0]?.[0]
      }
      await eventually(async () => (await counted()) === 1, { ...patience, what: 'the lake has the score' })
      await flush(rb.config.REDIS_URL)
      await eventually(() => rb.up.stderr().includes('log_recreated'), { ...patience, what: 'the loss is told' })
      await eventually(
        async () => {
          const answer = await get(features('c-e2e')).catch(() => null)
          return answer === null || answer.status === 503
        },
        { ...patience, what: 'no zeros are read' },
      )
      const again = await rb.run('up')
      expect(again.code).toBe(1)
      expect(again.stderr).toContain('log_recreated')
      expect(await rb.log.describeTopic('payments.events'), 'no topic was made').toBeNull()
    } finally {
      await rb.remove()
    }
  })
})

describe.skipIf(reason !== null)(`two installations of one name${skipped}`, () => {
  test('the second lake is refused by every role and command, until it is adopted', async () => {
    const first = await startInstallation()
    try {
      const { post } = clientOf(first)
      expect((await post('/v1/events?wait=20000', payment('p-1'))).status).toBe(200)
      const elsewhere = `${first.config.DATA_DIR}-second`
      const run = (...args: string[]) =>
        first.runWith({ RIVERBANK_DATA_DIR: elsewhere, RIVERBANK_HTTP_PORT: '0' }, ...args)
      for (const args of [
        ['materialize'],
        ['serve'],
        ['process'],
        ['up'],
        ['rebuild'],
        ['backfill', 'customer_spend'],
        ['verify'],
      ]) {
        const ended = await run(...args)
        expect({ args, code: ended.code }).toEqual({ args, code: 1 })
        expect(ended.stderr + ended.stdout, args.join(' ')).toContain('lake_mismatch')
      }
      const adopted = await run('lake', 'adopt')
      expect(adopted.code, adopted.stderr).toBe(0)
      await eventually(() => first.up.stderr().includes('lake_mismatch'), {
        ...patience,
        what: 'the first one is told that its lake was replaced',
      })
    } finally {
      await first.remove()
    }
  })
})
