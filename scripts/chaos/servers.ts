import { readdir, stat, truncate } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { startKafkaBroker, type KafkaBroker } from '../kafka/broker.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import { findRedisServer, freePort, startRedisServer, type RedisServer } from '../../src/edges/redis/server/server.ts'

export type Driver = 'redis' | 'kafka'

const startTimeoutMs = 20_000

/** A Redis that keeps what it acknowledges (appendfsync always), unless its file is cut. */
export class ChaosRedis {
  readonly #dir: string
  readonly #binary: string
  #server: RedisServer

  private constructor(dir: string, binary: string, server: RedisServer) {
    this.#dir = dir
    this.#binary = binary
    this.#server = server
  }

  static async start(dir: string): Promise<ChaosRedis> {
    const binary = findRedisServer()
    if (binary === null)
      throw new RiverbankError('redis_missing', 'neither redis-server nor valkey-server is on the PATH')
    return new ChaosRedis(dir, binary, await launch(dir, binary, await freePort()))
  }

  get url(): string {
    return this.#server.url
  }

  get port(): number {
    return this.#server.port
  }

  kill(): Promise<void> {
    return this.#server.kill()
  }

  async start(): Promise<void> {
    this.#server = await launch(this.#dir, this.#binary, this.#server.port)
  }

  async logBytes(): Promise<number> {
    return (await stat(await this.#logFile())).size
  }

  /** Does what a power cut does with `appendfsync everysec`: loses acknowledged writes at the end of the file. */
  async loseTail(bytes: number): Promise<void> {
    const file = await this.#logFile()
    await truncate(file, Math.max(0, (await stat(file)).size - bytes))
  }

  /** FLUSHALL, on a connection of its own. */
  empty(): Promise<void> {
    return this.#command('FLUSHALL')
  }

  /** Sets `maxmemory`; below the used memory Redis refuses every write, 0 is no limit. */
  limitMemory(bytes: string): Promise<void> {
    return this.#command('CONFIG', 'SET', 'maxmemory', bytes)
  }

  /** FLUSHALL as on a server of the states alone: deletes them in one step, and keeps the log in this Redis. */
  emptyStates(namespace: string): Promise<void> {
    const log = `${namespace}:log:`
    const script =
      `for _, key in ipairs(redis.call('KEYS', '${namespace}:*')) do ` +
      `if string.sub(key, 1, ${log.length}) ~= '${log}' then redis.call('DEL', key) end end`
    return this.#command('EVAL', script, '0')
  }

  async #command(...words: readonly string[]): Promise<void> {
    const text = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')
    await new Promise<void>((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write(`*${words.length}\r\n${text}`))
      socket.once('error', reject)
      socket.once('data', (answer) => {
        socket.destroy()
        if (answer.toString('latin1').startsWith('-')) reject(new RiverbankError('redis_failed', answer.toString()))
        else resolve()
      })
    })
  }

  async #logFile(): Promise<string> {
    const folder = join(this.#dir, 'appendonlydir')
    const newest = (await readdir(folder))
      .filter((name) => name.endsWith('.incr.aof'))
      .sort()
      .at(-1)
    if (newest === undefined) throw new RiverbankError('redis_failed', 'redis keeps no append-only file')
    return join(folder, newest)
  }
}

async function launch(dir: string, binary: string, port: number): Promise<RedisServer> {
  const noRewrite = ['--auto-aof-rewrite-percentage', '0']
  const server = await startRedisServer({
    ...{ binary, port, dir, persistence: 'always', maxMemoryBytes: 0, startTimeoutMs },
    extraArgs: noRewrite,
  })
  endWithUs(server)
  return server
}

function endWithUs(server: RedisServer): void {
  const killNow = () => process.kill(server.pid, 'SIGKILL')
  process.once('exit', killNow)
  void server.exited.then(() => process.off('exit', killNow))
}

export function startBroker(dir: string, say: (line: string) => void): Promise<KafkaBroker> {
  return startKafkaBroker({ dir, onProgress: say })
}
