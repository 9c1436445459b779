import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, mkdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loopClock } from '../../../clock/loop-clock.ts'
import { RiverbankError } from '../../../base/errors.ts'

export interface RedisServerOptions {
  /** Path of a redis-server or valkey-server binary; see {@link findRedisServer}. */
  readonly binary: string
  /** Loopback port; see {@link freePort}. */
  readonly port: number
  /** The folder of the server's files; created when missing. A server started on the same folder finds its data. */
  readonly dir: string
  /** `off` keeps nothing across restarts; the others are redis' appendfsync. */
  readonly persistence: 'off' | 'everysec' | 'always'
  /** Above it writes fail (noeviction): a silently dropped state would make a wrong score. 0 is no limit. */
  readonly maxMemoryBytes: number
  readonly startTimeoutMs: number
  readonly extraArgs?: readonly string[]
}

export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Resolves with a description of how the process ended, for any reason. */
  readonly exited: Promise<string>
  /** Sends SIGTERM, and SIGKILL if the process runs after `graceMs`. Resolves when it is gone. */
  stop(graceMs?: number): Promise<void>
  /** Sends SIGKILL. Resolves when the process is gone. */
  kill(): Promise<void>
}

const binaries = ['redis-server', 'valkey-server'] as const

/** The first redis-server or valkey-server on a PATH-like list of folders, or null. */
export function findRedisServer(path: string = process.env['PATH'] ?? ''): string | null {
  for (const binary of binaries) {
    for (const folder of path.split(delimiter)) {
      if (folder === '') continue
      const candidate = join(folder, binary)
      try {
        accessSync(candidate, constants.X_OK)
        return candidate
      } catch {
        continue
      }
    }
  }
  return null
}

/** A loopback port that was free a moment ago; the caller starts its server soon, and retries if the port was taken. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port'))
        else resolve(address.port)
      })
    })
  })
}

/**
 * Starts a server on loopback and resolves when it has loaded its data and answers. Rejects with
 * `redis_start_failed` and the end of its log.
 */
export async function startRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  mkdirSync(options.dir, { recursive: true })
  const logFile = join(options.dir, 'redis.log')
  // A group of its own: a terminal's ctrl-c reaches the roles first, which still need the server to finish.
  const child = spawn(options.binary, serverArgs(options, logFile), { stdio: 'ignore', detached: true })
  const ended = whenEnded(child)
  const pid = child.pid
  if (pid === undefined) throw startFailed(await ended.promise, logFile)
  const lateAtMs = loopClock.nowMs() + options.startTimeoutMs
  for (;;) {
    if (ended.how() !== null) throw startFailed(await ended.promise, logFile)
    if (await answers(options.port, pid)) break
    if (loopClock.nowMs() > lateAtMs) {
      child.kill('SIGKILL')
      await ended.promise
      throw startFailed(`no answer within ${options.startTimeoutMs} ms`, logFile)
    }
    await sleep(10)
  }
  const kill = async (): Promise<void> => {
    if (ended.how() === null) child.kill('SIGKILL')
    await ended.promise
  }
  const stop = async (graceMs = 5_000): Promise<void> => {
    if (ended.how() === null) child.kill('SIGTERM')
    const grace = loopClock.after(graceMs, () => child.kill('SIGKILL'))
    await ended.promise
    grace.cancel()
  }
  return { url: `redis://127.0.0.1:${options.port}`, port: options.port, pid, exited: ended.promise, stop, kill }
}

/** The log passes through the file: a rewrite at each doubling from 64 MB on would take a whole core. */
const rewriteFrom = '512mb'

function serverArgs(options: RedisServerOptions, logFile: string): string[] {
  const persistence =
    options.persistence === 'off'
      ? ['--appendonly', 'no']
      : ['--appendonly', 'yes', '--appendfsync', options.persistence, '--auto-aof-rewrite-min-size', rewriteFrom]
  return [
    ...['--bind', '127.0.0.1', '--port', String(options.port), '--protected-mode', 'yes'],
    ...['--dir', options.dir, '--logfile', logFile, '--daemonize', 'no', '--save', ''],
    ...persistence,
    ...['--maxmemory', String(options.maxMemoryBytes), '--maxmemory-policy', 'noeviction'],
    ...(options.extraArgs ?? []),
  ]
}

function whenEnded(child: ChildProcess): { readonly promise: Promise<string>; how(): string | null } {
  let how: string | null = null
  const promise = new Promise<string>((resolve) => {
    const settle = (text: string): void => {
      how ??= text
      resolve(how)
    }
    child.once('error', (error) => settle(error.message))
    child.once('exit', (code, signal) => settle(signal === null ? `exit code ${code}` : `signal ${signal}`))
  })
  return { promise, how: () => how }
}

/** True when the process on this port is the one that was started, and it has loaded its data. */
function answers(port: number, pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const settle = (answer: boolean): void => {
      limit.cancel()
      socket.destroy()
      resolve(answer)
    }
    const limit = loopClock.after(1_000, () => settle(false))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
    socket.once('connect', () => socket.write('INFO server\r\nINFO persistence\r\n'))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const loading = /\bloading:([01])/.exec(text)
      if (loading !== null) settle(loading[1] === '0' && new RegExp(`\\bprocess_id:${pid}\\b`).test(text))
    })
  })
}

function startFailed(why: string, logFile: string): RiverbankError {
  return new RiverbankError('redis_start_failed', `the redis server did not start: ${why}\n${lastLines(logFile)}`)
}

function lastLines(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').split('\n').slice(-8).join('\n')
  } catch {
    return '(it wrote no log)'
  }
}
