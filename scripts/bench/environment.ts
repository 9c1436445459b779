import { execFileSync } from 'node:child_process'
import { describeMachine, machineLine, type Machine } from './machine.ts'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'

/** Where and when a report was measured. */
export interface Environment extends Machine {
  /** ISO 8601, at the start. */
  readonly startedAt: string
  /** Short hash, with `+` when files differ from it; null outside of a repository. */
  readonly commit: string | null
}

export function describeEnvironment(): Environment {
  return { ...describeMachine(), startedAt: new Date().toISOString(), commit: commitOf() }
}

export function environmentLine(environment: Environment): string {
  const { startedAt, commit } = environment
  return `${machineLine(environment)}, ${startedAt.slice(0, 16).replace('T', ' ')} UTC, commit ${commit ?? 'unknown'}`
}

function commitOf(): string | null {
  const git = (...args: readonly string[]) =>
    execFileSync('git', args, { cwd: projectFolder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`
  } catch {
    return null
  }
}
