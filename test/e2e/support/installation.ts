import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { riverbank, startRiverbank, type Ended, type Running } from './program.ts'
import { readConfig, type Config } from '../../../src/app/installation/settings/config.ts'
import { openEventLog } from '../../../src/app/installation/servers/event-log.ts'
import type { EventLog } from '../../../src/ports/log.ts'
import { startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { eventually } from '../../support/wait.ts'

/** `riverbank up` as an operator runs it, with a Redis of its own. */
export interface TestInstallation {
  readonly url: string
  readonly config: Config
  /** A connection of the test's own. */
  readonly log: EventLog
  readonly up: Running
  /** The present process of a role, such as `process-1`. */
  pidOf(instance: string): number
  /** How often an instance was started. */
  starts(instance: string): number
  run(...args: string[]): Promise<Ended>
  /** With other settings, such as those of a second installation. */
  runWith(settings: Readonly<Record<string, string>>, ...args: string[]): Promise<Ended>
  /** Runs a command that answers one JSON value; expects exit code 0. */
  json(...args: string[]): Promise<unknown>
  remove(): Promise<void>
}

const startMs = 60_000

export async function startInstallation(settings: Readonly<Record<string, string>> = {}): Promise<TestInstallation> {
  const redis = await startTestRedis()
  const dir = mkdtempSync(join(tmpdir(), 'riverbank-e2e-'))
  const env = {
    RIVERBANK_DATA_DIR: dir,
    RIVERBANK_HTTP_PORT: '0',
    RIVERBANK_LAKE_FLUSH_MS: '300',
    REDIS_URL: redis.url,
    ...settings,
  }
  const up = startRiverbank(['up'], env)
  try {
    const url = await eventually(() => listeningUrl(up), { deadlineMs: startMs, what: 'the HTTP role listens' })
    const config = readConfig(env)
    const log = await openEventLog(config)
    const run = (...args: string[]) => riverbank(args, env)
    return {
      url,
      config,
      log,
      up,
      pidOf: (instance) => startsOf(up, instance).at(-1) ?? 0,
      starts: (instance) => startsOf(up, instance).length,
      run,
      runWith: (others, ...args) => riverbank(args, { ...env, ...others }),
      async json(...args) {
        const ended = await run(...args, '--json')
        expect(ended.code, ended.stderr).toBe(0)
        return JSON.parse(ended.stdout) as unknown
      },
      remove: async () => {
        await log.close()
        await removeAll(up, redis, dir)
      },
    }
  } catch (error) {
    await removeAll(up, redis, dir)
    throw new Error(`the installation did not start:\n${up.stderr()}`, { cause: error })
  }
}

async function removeAll(up: Running, redis: TestRedis, dir: string): Promise<void> {
  if (up.child.exitCode === null) {
    up.child.kill('SIGTERM')
    await up.ended
  }
  await redis.stop()
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
}

interface LogLine {
  readonly message?: unknown
  readonly instance?: unknown
  readonly url?: unknown
  readonly pid?: unknown
}

function logLines(up: Running): LogLine[] {
  return up
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine)
}

/** Throws as long as nobody listens. */
function listeningUrl(up: Running): string {
  if (up.child.exitCode !== null) throw new Error('riverbank up has ended')
  const line = logLines(up).find(({ message }) => message === 'listening')
  if (typeof line?.url !== 'string') throw new Error('nobody listens yet')
  return line.url
}

function startsOf(up: Running, instance: string): number[] {
  const started = logLines(up).filter((line) => line.message === 'started' && line.instance === instance)
  // The supervisor's own id is a field of every line too; the last of equal keys wins, which is the child's.
  return started.map((line) => Number(line.pid))
}
