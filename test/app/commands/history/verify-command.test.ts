import { InvalidArgumentError } from 'commander'
import { describe, expect, test } from 'vitest'
import { duration } from '../../../../src/app/command-line/arguments.ts'
import { overdueOf } from '../../../../src/app/commands/history/verify-command.ts'

describe('verify --pending-max', () => {
  test.each([
    ['without a limit nothing is overdue', 86_400_000, undefined, null],
    ['nothing is pending', null, 0, null],
    ['the oldest is as old as it may be', 5_000, 5_000, null],
    ['the oldest is older than it may be, and its age is told', 5_000.6, 5_000, 5_001],
    ['a limit of 0 lets nothing be pending', 1, 0, 1],
  ])('%s', (_name, oldestPendingMs, pendingMaxMs, overdueMs) => {
    expect(overdueOf({ oldestPendingMs }, pendingMaxMs)).toBe(overdueMs)
  })

  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['0s', 0],
  ])('takes %s as a duration', (text, ms) => {
    expect(duration(text)).toBe(ms)
  })

  test.each(['', '30', 's', '-1s', '1.5h', '30 s', '1w', 'Infinity'])('refuses "%s" as a duration', (text) => {
    expect(() => duration(text)).toThrow(InvalidArgumentError)
  })
})
