import { createHash } from 'node:crypto'
import { ReplyError, type Redis } from 'ioredis'
import { isRiverbankError, RiverbankError } from '../../../base/errors.ts'
import { AnsweringRedis, timedOutMessage } from './answering-redis.ts'

export interface ConnectionOptions {
  readonly url: string
  /** The name in CLIENT LIST. */
  readonly name: string
  /**
   * A command without an answer for this long counts as failed; whether it ran is then unknown. Measured while our own
   * event loop listens.
   */
  readonly commandTimeoutMs: number
  /**
   * Longest pause between two attempts to connect. Attempts never end: a caller that needs an answer has a deadline.
   */
  readonly reconnectMaxDelayMs: number
}

export type Unavailable = 'log_unavailable' | 'state_unavailable'

/**
 * A connection that never repeats a command by itself: ioredis would resend unanswered ones, and the server would apply
 * an append twice. Commands fail at once while there is no connection. RESP2, because its replies nest plainly.
 */
export function createConnection(options: ConnectionOptions): Redis {
  const redis = new AnsweringRedis(options.url, options.commandTimeoutMs, {
    lazyConnect: true,
    protocol: 2,
    connectionName: options.name,
    keepAlive: 10_000,
    noDelay: true,
    enableReadyCheck: true,
    maxLoadingRetryTime: options.reconnectMaxDelayMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableAutoPipelining: false,
    maxRetriesPerRequest: 0,
    // A primary became a replica: reconnect, to the server that has its name by now. Never repeat the command.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
    retryStrategy: (attempt) => Math.min(options.reconnectMaxDelayMs, 20 * 2 ** Math.min(attempt, 20)),
  })
  // Without a listener ioredis prints every failed attempt; commands and the events `close` and `ready` report the
  // rest.
  redis.on('error', () => undefined)
  return redis
}

/**
 * Connects, or rejects with `code`: canRetry, unless the server wants other credentials. Reconnects by itself from then
 * on.
 */
export async function connectRedis(options: ConnectionOptions, code: Unavailable): Promise<Redis> {
  const redis = createConnection(options)
  let last: unknown
  redis.on('error', (error: unknown) => {
    last = error
  })
  try {
    await redis.connect()
    return redis
  } catch (error) {
    redis.disconnect()
    throw redisFailure(code, 'no connection to redis', last ?? error)
  }
}

/**
 * Disconnects and rejects with `invalid_config` when this server is a node of a cluster: it would answer for some keys
 * only, and hardly ever for several at once. `advice` names the alternative.
 */
export async function refuseClusterNode(redis: Redis, code: Unavailable, advice: string): Promise<void> {
  try {
    if (!/^cluster_enabled:1/m.test(await redis.info('cluster'))) return
  } catch (error) {
    redis.disconnect()
    throw redisFailure(code, 'asking redis whether it is a cluster', error)
  }
  redis.disconnect()
  throw new RiverbankError('invalid_config', `${redisAddress(redis)} is a node of a Redis Cluster: ${advice}`)
}

/** `host:port`, without credentials. */
export function redisAddress(redis: Redis): string {
  return `${redis.options.host ?? ''}:${redis.options.port ?? ''}`
}

/** Errors of a server that is up and will answer later. (Not NOSCRIPT: {@link RedisScript} then sends the script.) */
const passing =
  /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|MISCONF|NOREPLICAS|UNBLOCKED|ERR max number of clients)\b/

/** Classifies every rejection of ioredis. An unknown one cannot be retried. */
export function redisFailure(code: Unavailable, doing: string, error: unknown): RiverbankError {
  if (isRiverbankError(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  if (!isReplyError(error)) {
    const timedOut = message === timedOutMessage
    return new RiverbankError(code, `${doing}: ${message}`, { canRetry: true, timedOut, cause: error })
  }
  if (message.startsWith('OOM')) {
    const full = code === 'log_unavailable' ? 'log_full' : code
    return new RiverbankError(full, `${doing}: redis is at its memory limit`, { canRetry: true, cause: error })
  }
  return new RiverbankError(code, `${doing}: ${message}`, { canRetry: passing.test(message), cause: error })
}

/** The server answered with an error; everything else is about the connection. */
function isReplyError(error: unknown): error is Error {
  return error instanceof ReplyError
}

/** True when the command failed for lack of a connection, not by its answer or a late one. */
export function connectionLost(error: unknown): boolean {
  return !isReplyError(error) && !(error instanceof Error && error.message === timedOutMessage)
}

export type Argument = string | number | Buffer

/** A Lua script, called by its hash; sent in full when the server does not know it (each restart forgets). */
export class RedisScript {
  readonly #lua: string
  readonly #sha: string

  /** `oom: 'allow'` lets it run at the memory limit: for scripts that only move positions and release things. */
  constructor(body: string, oom: 'deny' | 'allow' = 'deny') {
    this.#lua = `#!lua${oom === 'allow' ? ' flags=allow-oom' : ''}\n${body.trim()}\n`
    this.#sha = createHash('sha1').update(this.#lua).digest('hex')
  }

  /** Replies as ioredis gives them, strings as Buffer. At most a few thousand arguments a call. */
  async run(redis: Redis, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    try {
      return await redis.callBuffer(...this.command(keys, args, 'by hash'))
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      return redis.callBuffer(...this.command(keys, args, 'in full'))
    }
  }

  /** For callers that send it themselves: `in full` after {@link isUnknownScript}. */
  command(keys: readonly string[], args: readonly Argument[], how: 'by hash' | 'in full'): [string, Argument[]] {
    const [name, script] = how === 'by hash' ? ['EVALSHA', this.#sha] : ['EVAL', this.#lua]
    return [name, [script, keys.length, ...keys, ...args]]
  }
}

export function isUnknownScript(error: unknown): boolean {
  return isReplyError(error) && error.message.startsWith('NOSCRIPT')
}

/** A Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
