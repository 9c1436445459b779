import { openRedisEventLog } from '../../src/edges/redis/log/event-log.ts'
import { redisAvailable, startTestRedis } from '../support/redis-server.ts'
import { eventLogContract, type EventLogFixture } from './event-log-suite.ts'

async function redisFixture(): Promise<EventLogFixture> {
  // What is acknowledged must survive the restart.
  const server = await startTestRedis({ persistence: 'always' })
  const open = () => openRedisEventLog({ url: server.url, namespace: 'test', commandTimeoutMs: 2_000 })
  return {
    open,
    restartServer: async () => {
      await server.kill()
      await server.restart()
    },
    truncate: async (topic, partition, beforeOffset) => {
      const log = await open()
      await log.truncate(topic, partition, beforeOffset)
      await log.close()
    },
    cleanup: () => server.stop(),
    sessionTimeoutMs: 1_500,
    deadlineMs: 10_000,
  }
}

eventLogContract('redis', redisFixture, redisAvailable())
