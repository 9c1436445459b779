import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRedisServer, freePort, startRedisServer, type RedisServer } from '../../src/edges/redis/server/server.ts'
import { RiverbankError } from '../../src/base/errors.ts'

export interface TestRedisOptions {
  /** Default `everysec`: a restart keeps the data. */
  readonly persistence?: 'off' | 'everysec' | 'always'
  readonly maxMemoryBytes?: number
  readonly extraArgs?: readonly string[]
}

export interface TestRedis {
  readonly url: string
  readonly port: number
  /** The server's own temporary folder, removed by `stop`. With persistence the log is in `appendonlydir`. */
  readonly dir: string
  pid(): number
  /** SIGKILL; the data on disk stays for `restart`. */
  kill(): Promise<void>
  /** Ends the process with SIGTERM; the data on disk stays for `restart`. */
  shutdown(): Promise<void>
  /** Starts it again on the same folder and port; ends it first (SIGTERM) when it still runs. */
  restart(): Promise<void>
  /** Ends the process and removes its folder. Safe to call twice. */
  stop(): Promise<void>
}

/**
 * Null when a real server can be started here, else the reason to skip. With CI=true a missing server is a failure:
 * `describe.skipIf(redisAvailable() !== null)`.
 */
export function redisAvailable(): string | null {
  if (findRedisServer() !== null) return null
  const reason = 'neither redis-server nor valkey-server is on the PATH'
  if (process.env['CI'] === 'true') throw new Error(`${reason}, and CI=true allows no skipping`)
  return reason
}

const running = new Set<number>()
process.once('exit', () => {
  for (const pid of running) process.kill(pid, 'SIGKILL')
})

/** Starts a server of its own on a free loopback port. */
export async function startTestRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const binary = findRedisServer()
  if (binary === null) throw new Error('no redis-server on the PATH')
  const dir = mkdtempSync(join(tmpdir(), 'riverbank-redis-'))
  const start = async (port: number): Promise<RedisServer> => {
    const server = await startRedisServer({
      binary,
      port,
      dir,
      persistence: options.persistence ?? 'everysec',
      maxMemoryBytes: options.maxMemoryBytes ?? 512 * 1024 * 1024,
      startTimeoutMs: 20_000,
      extraArgs: options.extraArgs ?? [],
    })
    running.add(server.pid)
    void server.exited.then(() => running.delete(server.pid))
    return server
  }
  let server = await startOnFreePort(start)
  const { url, port } = server
  const stop = async (): Promise<void> => {
    await server.kill()
    rmSync(dir, { recursive: true, force: true })
  }
  const restart = async (): Promise<void> => {
    await server.stop()
    server = await start(port)
  }
  return {
    url,
    port,
    dir,
    pid: () => server.pid,
    kill: () => server.kill(),
    shutdown: () => server.stop(),
    restart,
    stop,
  }
}

/** Somebody else may take the port between the probe and the start: then another one. */
async function startOnFreePort(start: (port: number) => Promise<RedisServer>): Promise<RedisServer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (attempt === 3 || !(error instanceof RiverbankError)) throw error
    }
  }
}
