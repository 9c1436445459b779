import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { redisAvailable, startTestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { riverbank, startRiverbank } from './support/program.ts'

const within = { deadlineMs: 60_000, everyMs: 50 }

describe.skipIf(redisAvailable() !== null)('a serve role without a supervisor', () => {
  test('is ready, and says by /readyz whether anybody processes, also on another machine', async () => {
    const redis = await startTestRedis()
    const dir = mkdtempSync(join(tmpdir(), 'riverbank-readers-'))
    const settings = { REDIS_URL: redis.url, RIVERBANK_DATA_DIR: dir, RIVERBANK_HTTP_PORT: '0' }
    onTestFinished(async () => {
      await redis.stop()
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    })
    expect((await riverbank(['topics', 'create'], settings)).code).toBe(0)
    const serve = startRiverbank(['serve'], settings)
    onTestFinished(() => void serve.child.kill('SIGKILL'))
    const url = await eventually(() => /"url":"(http:[^"]+)"/.exec(serve.stderr())?.[1], within)
    const readiness = async () => {
      const response = await fetch(`${url}/readyz`)
      const { status, checks } = (await response.json()) as { status: string; checks: Record<string, string> }
      return { http: response.status, status, process: checks['process'] }
    }
    expect(await readiness()).toEqual({
      http: 200,
      status: 'degraded',
      process: 'no member of riverbank.process reads: events are taken and wait to be scored',
    })
    const processor = startRiverbank(['process'], settings)
    onTestFinished(() => void processor.child.kill('SIGKILL'))
    await eventually(async () => (await readiness()).process === 'ok', within)
    // Nobody says goodbye: its session times out.
    processor.child.kill('SIGKILL')
    await eventually(async () => (await readiness()).process !== 'ok', within)
    expect((await readiness()).http).toBe(200)
  })
})
