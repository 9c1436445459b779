import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { redisAvailable, startTestRedis } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { root } from './support/program.ts'

interface Process {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

function processes(): Process[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).trim().split('\n')
  return lines.map((line) => {
    const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []
    return { pid: Number(pid), parent: Number(parent), command }
  })
}

/** A process and all that it started, and they. */
function treeOf(pid: number, all: readonly Process[] = processes()): Process[] {
  const children = all.filter(({ parent }) => parent === pid)
  return [...all.filter((one) => one.pid === pid), ...children.flatMap((child) => treeOf(child.pid, all))]
}

const isAlive = ({ pid, command }: Process) => processes().some((one) => one.pid === pid && one.command === command)
const roles = ['process', 'serve', 'materialize']
const within = { deadlineMs: 240_000, everyMs: 200 }

/** Drain time, a margin, and what a loaded machine takes: what never ends is what this is about. */
const endsWithin = { deadlineMs: 120_000, everyMs: 200 }
const testMs = 400_000

/** npm runs a script with these arguments; answers the whole tree, once every role and `more` are there. */
async function started(args: readonly string[], settings: Readonly<Record<string, string>>, more: readonly RegExp[]) {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(RIVERBANK_|REDIS_URL$|npm_)/.test(name)),
  )
  const npm = spawn('npm', args, {
    cwd: root,
    env: { ...env, RIVERBANK_DRAIN_MS: '2000', ...settings },
    stdio: 'ignore',
  })
  let seen: Process[] = []
  onTestFinished(() => {
    npm.kill('SIGKILL')
    for (const one of seen) if (isAlive(one)) process.kill(one.pid, 'SIGKILL')
  })
  const wanted = [...roles.map((role) => new RegExp(`main\\.js ${role}$`)), ...more]
  await eventually(() => {
    seen = treeOf(npm.pid ?? -1)
    return wanted.every((one) => seen.some(({ command }) => one.test(command)))
  }, within)
  return { npm, tree: seen, bootstrap: seen.find(({ command }) => /^node .*bootstrap\/run\.mjs/.test(command)) }
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'riverbank-npm-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  return dir
}

const leftOf = (tree: readonly Process[]) => tree.filter(isAlive).map(({ command }) => command)

describe.skipIf(redisAvailable() !== null)('what a signal to npm leaves', () => {
  test.each([
    ['SIGTERM', 'npm'],
    ['SIGINT', 'npm'],
    ['SIGHUP', 'npm'],
    ['SIGKILL', 'npm'],
    ['SIGHUP', 'the bootstrap'],
  ] as const)(
    '%s to %s of npm start: nothing runs any more, Redis neither',
    async (signal, to) => {
      const args = ['start', '--', '--data', folder(), '--events', '200']
      const { npm, tree, bootstrap } = await started(args, { RIVERBANK_HTTP_PORT: '0' }, [/redis-server|valkey-server/])
      expect(bootstrap).toBeDefined()
      process.kill((to === 'npm' ? npm.pid : bootstrap?.pid) ?? -1, signal)
      await eventually(() => leftOf(tree).length === 0, endsWithin)
    },
    testMs,
  )

  test(
    'SIGHUP to npm run riverbank -- up: nothing runs any more',
    async () => {
      const redis = await startTestRedis()
      onTestFinished(() => redis.stop())
      const settings = { REDIS_URL: redis.url, RIVERBANK_DATA_DIR: folder(), RIVERBANK_HTTP_PORT: '0' }
      const { npm, tree } = await started(['run', 'riverbank', '--', 'up'], settings, [])
      npm.kill('SIGHUP')
      await eventually(() => leftOf(tree).length === 0, endsWithin)
    },
    testMs,
  )
})
