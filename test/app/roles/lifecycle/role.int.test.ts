import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startProgram } from '../../../e2e/support/program.ts'
import { eventually } from '../../../support/wait.ts'
import { built } from '../../../support/built.ts'

describe('a role that gets a signal to end', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'is gone after DRAIN_MS, whatever its libraries still do: %s',
    async (signal) => {
      const dir = mkdtempSync(join(tmpdir(), 'riverbank-role-'))
      onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
      const role = startProgram([built('test/app/support/stuck-role.ts'), dir])
      await eventually(() => role.stderr().includes('"started"'), { deadlineMs: 60_000, what: 'the role has started' })
      role.child.kill(signal)
      const { signal: by, stderr } = await role.ended
      expect(stderr).toContain('did not drain in time')
      expect(by).toBe('SIGKILL')
      expect(existsSync(join(dir, 'query-done')), 'it did not wait for the query').toBe(false)
    },
  )
})
