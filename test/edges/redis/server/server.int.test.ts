import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { findRedisServer, startRedisServer } from '../../../../src/edges/redis/server/server.ts'
import { redisAvailable, startTestRedis } from '../../../support/redis-server.ts'

describe.skipIf(redisAvailable() !== null)('redis server', () => {
  it('keeps its data and its port over a kill and a restart', async () => {
    const server = await startTestRedis({ persistence: 'always' })
    try {
      const before = new Redis(server.url)
      await before.set('key', 'value')
      before.disconnect()
      const pid = server.pid()
      await server.kill()
      await server.restart()
      expect(server.pid()).not.toBe(pid)
      const after = new Redis(server.url)
      expect(await after.get('key')).toBe('value')
      after.disconnect()
    } finally {
      await server.stop()
    }
  })

  it('says why it did not start', async () => {
    const server = await startTestRedis()
    try {
      const second = startRedisServer({
        binary: findRedisServer() ?? '',
        port: server.port,
        dir: `${server.dir}/second`,
        persistence: 'off',
        maxMemoryBytes: 0,
        startTimeoutMs: 5_000,
      })
      await expect(second).rejects.toMatchObject({
        code: 'redis_start_failed',
        message: expect.stringContaining('Address already in use') as string,
      })
    } finally {
      await server.stop()
    }
  })
})
