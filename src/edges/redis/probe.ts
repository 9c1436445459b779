import { connectRedis } from './connection.ts'

/** What matters about a server to whoever trusts it with states; empty strings where it does not tell (a managed one). */
export interface RedisFacts {
  readonly version: string
  readonly maxmemoryPolicy: string
  readonly appendonly: string
  readonly appendfsync: string
}

/** Connects once and asks. Changes nothing. Rejects with `state_unavailable`. */
export async function probeRedis(url: string, timeoutMs: number): Promise<RedisFacts> {
  const options = { url, name: 'riverbank:doctor', commandTimeoutMs: timeoutMs, reconnectMaxDelayMs: timeoutMs }
  const redis = await connectRedis(options, 'state_unavailable')
  // CONFIG is forbidden on many managed servers; INFO is not.
  const setting = async (name: string): Promise<string> => {
    const reply: unknown = await redis.config('GET', name).catch(() => [])
    return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : ''
  }
  try {
    const info = await redis.info()
    const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''
    return {
      version: field('valkey_version') === '' ? field('redis_version') : `valkey ${field('valkey_version')}`,
      maxmemoryPolicy: field('maxmemory_policy'),
      appendonly: field('aof_enabled') === '1' ? 'yes' : 'no',
      appendfsync: await setting('appendfsync'),
    }
  } finally {
    redis.disconnect()
  }
}
