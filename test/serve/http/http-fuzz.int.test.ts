import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startInstallation, type TestInstallation } from '../../e2e/support/installation.ts'
import { clientPrograms, clientsAvailable } from '../../support/python.ts'
import { redisAvailable } from '../../support/redis-server.ts'

const reason = redisAvailable() ?? (await clientsAvailable())
/**
 * Drawn examples per operation, beside a thousand cases of the limits of every schema. `npm run fuzz:http` takes both.
 */
const examples = process.env['FUZZ_EXAMPLES'] ?? '5'
const seed = process.env['FUZZ_SEED'] ?? '1'
const config = fileURLToPath(new URL('../../clients/schemathesis.toml', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly said: string
}

describe.skipIf(reason !== null)(`the API and its description${reason === null ? '' : ` (${reason})`}`, () => {
  let rb: TestInstallation
  let dir: string
  beforeAll(async () => {
    rb = await startInstallation()
    dir = mkdtempSync(join(tmpdir(), 'riverbank-fuzz-'))
  })
  afterAll(async () => {
    await rb.remove()
    rmSync(dir, { recursive: true, force: true })
  })

  const schemathesis = (...args: string[]) =>
    new Promise<Ended>((resolve) => {
      const options = { cwd: dir, maxBuffer: 64_000_000 }
      execFile(`${clientPrograms}/schemathesis`, args, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null
        resolve({ code, said: `${stdout}${stderr}` })
      })
    })

  test(`agree, seed ${seed}: what the schemas allow is taken, what they forbid refused, and each answer is as described`, async () => {
    // A stream has no end that a fuzzer could wait for.
    const chosen = ['--exclude-operation-id', 'streamScores', '--phases', 'coverage,fuzzing', '--checks', 'all']
    const drawn = ['--seed', seed, '--max-examples', examples, '--continue-on-failure']
    const ended = await schemathesis('--config-file', config, 'run', `${rb.url}/openapi.json`, ...chosen, ...drawn)
    expect(ended.code, ended.said).toBe(0)
    expect(ended.said).toMatch(/Tested: 16\b/)
  }, 3_600_000)
})
