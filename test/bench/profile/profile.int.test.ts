import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { built } from '../../support/built.ts'
import { redisAvailable } from '../../support/redis-server.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'riverbank-profile-test-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function profile(...args: readonly string[]) {
  const command = [built('scripts/profile.ts'), ...args, '--out', dir]
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  const code = await new Promise((resolve) => child.once('close', resolve))
  return { code, ...said }
}

describe.skipIf(redisAvailable() !== null)('npm run profile', () => {
  test('prints the stages of the processor under load, and writes its profile and a flame graph', async () => {
    const { code, stdout, stderr } = await profile('--payments', '2000')
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/process on redis: [\d.]+ µs of processor time per payment/)
    for (const stage of ['decode', 'observe', 'encode', 'write', 'publish', 'serialize', 'score: SHAP', '(garbage)']) {
      expect(
        stdout.split('\n').some((line) => line.startsWith(stage)),
        stage,
      ).toBe(true)
    }
    expect(await readdir(dir)).toEqual(['process-redis-payments.cpuprofile', 'process-redis-payments.svg'])
  })

  test('prints the stages of the HTTP role under reads', async () => {
    const { code, stdout, stderr } = await profile(
      '--payments',
      '500',
      '--role',
      'serve',
      '--load',
      'get',
      '--seconds',
      '1',
    )
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/serve on redis: [\d.]+ µs of processor time per request/)
    expect(stdout).toMatch(/^features /m)
  })
})
