import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loopClock } from '../../../clock/loop-clock.ts'
import { RiverbankError, isRiverbankError } from '../../../base/errors.ts'
import { identifyRedis } from '../../../edges/redis/server/identity.ts'
import { findRedisServer, freePort, startRedisServer, type RedisServer } from '../../../edges/redis/server/server.ts'
import type { Logger } from '../../../ports/telemetry.ts'

export interface EmbeddedRedisOptions {
  /** Holds the server's data, its log and the record of the run that owns it; created when missing. */
  readonly dir: string
  /** 0 is no limit. Above it writes fail (noeviction). */
  readonly maxMemoryBytes: number
  readonly startTimeoutMs: number
  /** From SIGTERM to SIGKILL. */
  readonly stopTimeoutMs: number
  readonly logger: Logger
}

export interface EmbeddedRedis {
  readonly url: string
  readonly pid: number
  /** Resolves when the server ended by itself; never when it was stopped. */
  readonly crashed: Promise<RiverbankError>
  /** Ends the server after it has written everything to disk. Safe to call twice. */
  stop(): Promise<void>
}

interface RunRecord {
  readonly port: number
  readonly ownerPid: number
}

const portAttemptsMax = 3
const identifyTimeoutMs = 2_000

/**
 * Starts a redis-server (or valkey-server) of our own on a free loopback port: append-only file, fsync every second,
 * no eviction. Stops a server that a crashed run left on the same folder first; refuses one whose run still lives, and
 * leaves it alone. Throws `redis_missing`, `redis_in_use`, `redis_start_failed`.
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const binary = findRedisServer()
  if (binary === null) {
    throw new RiverbankError(
      'redis_missing',
      'no redis-server or valkey-server on the PATH: install one, or set REDIS_URL',
    )
  }
  mkdirSync(options.dir, { recursive: true })
  const dir = realpathSync(options.dir)
  await endLeftover(dir, options)
  const server = await startOnFreePort(dir, binary, options)
  let isStopping = false
  const crashed = new Promise<RiverbankError>((resolve) => {
    void server.exited.then((how) => {
      if (isStopping) return
      const log = join(dir, 'redis.log')
      resolve(new RiverbankError('redis_crashed', `the embedded redis server ended (${how}); its log is ${log}`))
    })
  })
  const stop = async (): Promise<void> => {
    isStopping = true
    await server.stop(options.stopTimeoutMs)
    rmSync(recordFile(dir), { force: true })
  }
  options.logger.info('embedded redis runs', { url: server.url, pid: server.pid, dir })
  return { url: server.url, pid: server.pid, crashed, stop }
}

async function startOnFreePort(dir: string, binary: string, options: EmbeddedRedisOptions): Promise<RedisServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort()
    // Before the start: after any crash the next run finds the server by this record.
    writeFileSync(recordFile(dir), JSON.stringify({ port, ownerPid: process.pid } satisfies RunRecord))
    try {
      return await startRedisServer({
        binary,
        port,
        dir,
        persistence: 'everysec',
        maxMemoryBytes: options.maxMemoryBytes,
        startTimeoutMs: options.startTimeoutMs,
        extraArgs: ['--loglevel', 'warning'],
      })
    } catch (error) {
      if (attempt === portAttemptsMax || !isRiverbankError(error, 'redis_start_failed')) throw error
      options.logger.warn('embedded redis did not start, trying another port', { attempt, error })
    }
  }
}

/** Two servers on one append-only file would destroy it. */
async function endLeftover(dir: string, options: EmbeddedRedisOptions): Promise<void> {
  const record = readRecord(dir)
  if (record === null) return
  const isOurs = async () => {
    const identity = await identifyRedis(record.port, identifyTimeoutMs)
    return identity !== null && identity.dir === dir ? identity : null
  }
  const found = await isOurs()
  if (found === null) return
  if (record.ownerPid !== process.pid && isAlive(record.ownerPid)) {
    const message = `process ${record.ownerPid} already runs on ${dir}: stop it, or choose another RIVERBANK_DATA_DIR`
    throw new RiverbankError('redis_in_use', message)
  }
  options.logger.warn('stopping the redis server of an earlier run', { pid: found.pid, dir })
  signal(found.pid, 'SIGTERM')
  const lateAtMs = loopClock.nowMs() + options.stopTimeoutMs
  while (await isOurs()) {
    if (loopClock.nowMs() > lateAtMs) signal(found.pid, 'SIGKILL')
    if (loopClock.nowMs() > lateAtMs + options.stopTimeoutMs) {
      throw new RiverbankError('redis_in_use', `the redis server ${found.pid} on ${dir} does not end`)
    }
    await sleep(20)
  }
}

const recordFile = (dir: string) => join(dir, 'embedded.json')

function readRecord(dir: string): RunRecord | null {
  try {
    const value: unknown = JSON.parse(readFileSync(recordFile(dir), 'utf8'))
    if (typeof value !== 'object' || value === null || !('port' in value) || !('ownerPid' in value)) return null
    const { port, ownerPid } = value
    return typeof port === 'number' && typeof ownerPid === 'number' ? { port, ownerPid } : null
  } catch {
    // No earlier run, or one that died while it wrote the record: it had not started a server yet.
    return null
  }
}

/** The record of the server that runs in this folder; null when its owner is dead, or there never was one. */
export function readRunRecord(dir: string): Pick<RunRecord, 'port'> | null {
  const record = readRecord(dir)
  return record !== null && isAlive(record.ownerPid) ? record : null
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name)
  } catch {
    // It is gone already.
  }
}
