import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import type { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectRedis } from '../../../../src/edges/redis/server/connection.ts'
import { isRiverbankError } from '../../../../src/base/errors.ts'
import { block } from '../../../support/busy-loop.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

const commandTimeoutMs = 200

const options = (url: string) => ({ url, name: 'answers', commandTimeoutMs, reconnectMaxDelayMs: 100 })

describe.skipIf(redisAvailable() !== null)('a redis client on a busy event loop', () => {
  let server: TestRedis
  let redis: Redis
  beforeEach(async () => {
    server = await startTestRedis({ persistence: 'off' })
    redis = await connectRedis(options(server.url), 'state_unavailable')
  })
  afterEach(async () => {
    redis.disconnect()
    await server.stop()
  })

  it('takes the replies that wait in the socket, however long the loop was busy', async () => {
    let closed = 0
    redis.on('close', () => (closed += 1))
    await redis.set('large', Buffer.alloc(1_000_000))
    for (let time = 0; time < 3; time += 1) {
      const replies = Promise.all([redis.get('large'), redis.pipeline().get('large').ping().exec(), redis.ping()])
      await new Promise(setImmediate)
      block(commandTimeoutMs * 5)
      const [large, , pong] = await replies
      expect(large?.length).toBe(1_000_000)
      expect(pong).toBe('PONG')
    }
    expect(closed).toBe(0)
  })

  it('connects although the loop was busy meanwhile', async () => {
    const connecting = connectRedis(options(server.url), 'state_unavailable')
    await new Promise(setImmediate)
    block(commandTimeoutMs * 5)
    const other = await connecting
    expect(await other.ping()).toBe('PONG')
    other.disconnect()
  })

  it('calls a server late that does not answer, and drops the connection to one that says nothing more', async () => {
    process.kill(server.pid(), 'SIGSTOP')
    let closed = 0
    redis.on('close', () => (closed += 1))
    const startedMs = performance.now()
    await expect(redis.ping()).rejects.toThrow('Command timed out')
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(commandTimeoutMs)
    await eventually(() => closed > 0, { deadlineMs: 30_000 })
    process.kill(server.pid(), 'SIGCONT')
    await eventually(() => redis.ping(), { deadlineMs: 30_000 })
  })
})

it('gives up a connection to a peer that never says anything', async () => {
  const peers: Socket[] = []
  const silent: Server = createServer((peer) => peers.push(peer)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const address = silent.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const failure: unknown = await connectRedis(options(`redis://127.0.0.1:${address.port}`), 'state_unavailable').then(
    () => null,
    (error: unknown) => error,
  )
  expect(isRiverbankError(failure, 'state_unavailable') && failure.canRetry).toBe(true)
  for (const peer of peers) peer.destroy()
  silent.close()
})
