import { spawn, type ChildProcess } from 'node:child_process'
import { built } from '../../support/built.ts'

export const root = new URL('../../..', import.meta.url).pathname

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  stderr(): string
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** The shell's own settings are not the test's. */
function environment(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const ours = /^(RIVERBANK_|REDIS_URL$|KAFKA_BROKERS$|VITEST|NODE_ENV$|TEST_)/
  const inherited = Object.entries(process.env).filter(([name]) => !ours.test(name))
  return { ...Object.fromEntries(inherited), ...settings }
}

/** Starts Node on a file of the repository, with these settings and no others. */
export function startProgram(args: readonly string[], settings: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: environment(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text))
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      running.delete(child)
      resolve({ code, signal, ...texts })
    })
  })
  return { child, ended, stderr: () => texts.stderr }
}

/** `riverbank <args>` as it is run in the repository. */
export function startRiverbank(args: readonly string[], settings: Readonly<Record<string, string>> = {}): Running {
  return startProgram([built('src/main.ts'), ...args], settings)
}

export function riverbank(args: readonly string[], settings: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return startRiverbank(args, settings).ended
}
