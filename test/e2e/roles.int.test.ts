import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { redisAvailable } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { startInstallation, type TestInstallation } from './support/installation.ts'

const within = { deadlineMs: 60_000, everyMs: 20 }

describe.skipIf(redisAvailable() !== null)('a role that fails beside the one that serves', () => {
  let rb: TestInstallation
  beforeAll(async () => {
    rb = await startInstallation()
  })
  afterAll(() => rb.remove())

  const readiness = async () => {
    const response = await fetch(`${rb.url}/readyz`)
    return { status: response.status, body: (await response.json()) as { status: string; checks: { roles: string } } }
  }

  test('is told by /readyz while it is down, and counted on /metrics', async () => {
    await eventually(async () => (await readiness()).body.checks.roles === 'ok', within)
    for (let time = 1; time <= 3; time += 1) {
      process.kill(rb.pidOf('process-1'), 'SIGKILL')
      const told = await eventually(async () => {
        const { status, body } = await readiness()
        expect(status).toBe(200)
        return body.status === 'degraded' && body.checks.roles !== 'ok' ? body.checks.roles : null
      }, within)
      expect(told).toBe(`process-1 is down (signal SIGKILL), started again ${time - 1} times`)
      await eventually(() => rb.starts('process-1') === time + 1, within)
    }
    await eventually(async () => (await readiness()).body.status === 'ready', within)
    const metrics = await (await fetch(`${rb.url}/metrics`)).text()
    expect(metrics).toMatch(/^riverbank_role_restarts_total\{.*process="process-1".*\} 3$/m)
    expect(metrics).toMatch(/^riverbank_role_up\{.*process="materialize-1".*\} 1$/m)
  })
})
