import { describe, expect, it } from 'vitest'
import { readConfig } from '../../../../src/app/installation/settings/config.ts'
import { tellEviction } from '../../../../src/app/installation/servers/eviction.ts'
import type { Fields } from '../../../../src/ports/telemetry.ts'
import { quiet } from '../../../process/support/wiring.ts'
import { redisAvailable, startTestRedis } from '../../../support/redis-server.ts'

async function told(extraArgs: readonly string[]): Promise<readonly (Fields | undefined)[]> {
  const redis = await startTestRedis({ extraArgs })
  const errors: (Fields | undefined)[] = []
  const logger = { ...quiet, error: (_message: string, fields?: Fields) => void errors.push(fields) }
  try {
    await tellEviction(readConfig({ REDIS_URL: redis.url }), logger)
  } finally {
    await redis.stop()
  }
  return errors
}

describe.skipIf(redisAvailable() !== null)('the start of a role', () => {
  it('says when the server of the states may evict them, and is silent when it may not', async () => {
    expect(await told(['--maxmemory-policy', 'allkeys-lru'])).toMatchObject([
      { fix: expect.stringContaining('noeviction') as string },
    ])
    expect(await told([])).toEqual([])
  })
})
