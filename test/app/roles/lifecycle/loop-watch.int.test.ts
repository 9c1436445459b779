import { describe, expect, test } from 'vitest'
import { startProgram } from '../../../e2e/support/program.ts'
import { built } from '../../../support/built.ts'

const run = (how: string) => startProgram([built('test/app/support/busy-role.ts'), how]).ended

describe('a role one turn of whose loop does not end', () => {
  test('is killed when it has burnt its limit of CPU, and says so', { timeout: 60_000 }, async () => {
    const { signal, stderr } = await run('loop')
    expect(signal).toBe('SIGKILL')
    const line = stderr.split('\n').find((text) => text.includes('loop_stalled'))
    expect(JSON.parse(line ?? '{}')).toMatchObject({ level: 'error', role: 'busy', code: 'loop_stalled' })
  })

  test.each([
    ['it burns no CPU: the machine is starved, the process is frozen', 'wait'],
    ['other turns end in between, whatever all of them burn', 'bursts'],
  ])('goes on while %s', { timeout: 60_000 }, async (_, how) => {
    const { code, stderr } = await run(how)
    expect(stderr).not.toContain('loop_stalled')
    expect(code).toBe(0)
  })
})
