import { spawn } from 'node:child_process'
import type { Installation } from './installation.ts'
import { roleCommand } from '../role-command.ts'
import { RiverbankError } from '../../src/base/errors.ts'

export interface CommandResult {
  readonly stdout: string
  /** From the start of its process to its end. */
  readonly seconds: number
}

/** Runs `riverbank <args>` beside an installation. Errors: `command_failed` with what it said. */
export function riverbank({ env }: Installation, args: readonly string[], signal: AbortSignal): Promise<CommandResult> {
  const { file, args: own } = roleCommand()
  return runCommand(file, [...own, ...args], env, signal)
}

/** Errors: `command_failed` with what it said. */
export async function runCommand(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<CommandResult> {
  const startedMs = performance.now()
  const child = spawn(file, args, { env, signal, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const seconds = (performance.now() - startedMs) / 1_000
  if (code !== 0) {
    const last = said.stderr.trimEnd().split('\n').at(-1) ?? ''
    throw new RiverbankError('command_failed', `${args.at(-1)} ended with exit code ${code}: ${last}`)
  }
  return { stdout: said.stdout, seconds }
}
