/**
 * A bare Hono on the product's server and Redis client: reads the states that a request names with one command and
 * answers with JSON of the same size. No windows, no checks, no metrics. Takes one order from its parent and answers
 * its port.
 */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { Redis } from 'ioredis'

export interface ReadsOrder {
  readonly redisUrl: string
  /** The text before the id of an entity in the key of its state. */
  readonly statePrefix: string
  /** Answers of the product, which the program encodes again for each request. */
  readonly one: unknown
  readonly many: unknown
}

process.once('message', ({ redisUrl, statePrefix, one, many }: ReadsOrder) => {
  const redis = new Redis(redisUrl)
  const app = new Hono()
  const keyOf = (id: string) => `${statePrefix}${id}}`
  app.get('/v1/entities/:entity/:id/features', async (c) => {
    await redis.mgetBuffer(keyOf(c.req.param('id')))
    return c.json(one)
  })
  app.post('/v1/features', async (c) => {
    const { entities } = await c.req.json<{ entities: Record<string, string[]> }>()
    await redis.mgetBuffer(Object.values(entities).flat().map(keyOf))
    return c.json(many)
  })
  serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => process.send?.(port))
})
process.once('disconnect', () => process.exit(0))
