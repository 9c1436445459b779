import { Redis } from 'ioredis'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isRiverbankError } from '../../../src/base/errors.ts'
import { openRedisEventLog, type RedisEventLog } from '../../../src/edges/redis/log/event-log.ts'
import { openRedisGenerationStore } from '../../../src/edges/redis/states/generation-store.ts'
import { openRedisStateStore } from '../../../src/edges/redis/states/state-store.ts'
import type { GenerationStore } from '../../../src/ports/generations.ts'
import type { StateStore } from '../../../src/ports/states.ts'
import { freePort } from '../../../src/edges/redis/server/server.ts'
import { codeOf, Member, retrying } from '../../contract/log-probe.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis-server.ts'
import { eventually } from '../../support/wait.ts'

const within = { deadlineMs: 30_000 }
const timeoutMs = 2_000

/** A server that is up, and will answer later: how it comes to that, and how it comes back. */
interface Refusal {
  readonly name: string
  readonly begin: (operator: Redis, server: TestRedis) => Promise<unknown>
  readonly end: (operator: Redis, server: TestRedis) => Promise<unknown>
}

/** It answers while it loads, after every kilobyte. */
const debugArgs = ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024']
const blob = Buffer.alloc(32, 7)
const write = (id: string) => ({ key: { entity: 'customer', id }, expected: null, blob, ttlMs: 60_000 })
const set = (operator: Redis, ...settings: string[]) => operator.call('CONFIG', 'SET', ...settings)

const refusals: readonly Refusal[] = [
  {
    name: 'OOM: the memory limit is reached',
    begin: (operator) => set(operator, 'maxmemory', '1'),
    end: (operator) => set(operator, 'maxmemory', '0'),
  },
  {
    name: 'NOREPLICAS: too few replicas',
    begin: (operator) => set(operator, 'min-replicas-to-write', '1'),
    end: (operator) => set(operator, 'min-replicas-to-write', '0'),
  },
  {
    name: 'READONLY: it became a replica',
    begin: async (operator) => operator.call('REPLICAOF', '127.0.0.1', await freePort()),
    end: (operator) => operator.call('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'MASTERDOWN: a replica that serves nothing stale',
    begin: async (operator) => {
      await set(operator, 'replica-serve-stale-data', 'no')
      await operator.call('REPLICAOF', '127.0.0.1', await freePort())
    },
    end: async (operator) => {
      await operator.call('REPLICAOF', 'NO', 'ONE')
      await set(operator, 'replica-serve-stale-data', 'yes')
    },
  },
  {
    name: 'BUSY: a script that does not end',
    begin: async (operator, { url }) => {
      await set(operator, 'busy-reply-threshold', '10')
      const busy = new Redis(url, { protocol: 2 })
      const ended = busy.call('EVAL', 'while true do end', 0).catch(() => undefined)
      void ended.then(() => busy.disconnect())
      await eventually(async () => (await codeOfReply(operator.ping())) === 'BUSY', within)
    },
    end: (operator) => operator.call('SCRIPT', 'KILL'),
  },
  {
    name: 'LOADING: it loads its data',
    begin: async (operator, { url }) => {
      for (let n = 0; n < 400; n += 1) await operator.set(`loaded:${n}`, 'x'.repeat(20))
      await set(operator, 'key-load-delay', '5000')
      const loading = new Redis(url, { protocol: 2 })
      const ended = loading.call('DEBUG', 'RELOAD').catch(() => undefined)
      void ended.then(() => loading.disconnect())
      await eventually(async () => (await codeOfReply(operator.get('loaded:0'))) === 'LOADING', within)
    },
    end: (operator) => eventually(async () => (await codeOfReply(operator.get('loaded:0'))) === 'none', within),
  },
  {
    name: 'MISCONF: it cannot write its snapshot',
    begin: async (operator, { dir }) => {
      rmSync(join(dir, 'dump.rdb'), { force: true })
      mkdirSync(join(dir, 'dump.rdb'))
      writeFileSync(join(dir, 'dump.rdb', 'full'), '')
      await set(operator, 'appendonly', 'no', 'save', '3600 1')
      await operator.call('BGSAVE')
      await eventually(async () => (await operator.info('persistence')).includes('last_bgsave_status:err'), within)
    },
    end: async (operator, { dir }) => {
      rmSync(join(dir, 'dump.rdb'), { recursive: true })
      await set(operator, 'save', '')
    },
  },
]

/** The first word of the error that a command is answered with. */
async function codeOfReply(reply: Promise<unknown>): Promise<string> {
  return reply.then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? (error.message.split(' ', 1)[0] ?? '') : ''),
  )
}

describe.skipIf(redisAvailable() !== null)('a server that is up and refuses', () => {
  let server: TestRedis
  let operator: Redis
  let store: StateStore
  let log: RedisEventLog
  let generations: GenerationStore

  beforeAll(async () => {
    server = await startTestRedis({ persistence: 'off', extraArgs: debugArgs })
    operator = new Redis(server.url, { protocol: 2 })
    const options = {
      ...{ url: server.url, namespace: 'refused', commandTimeoutMs: timeoutMs },
      eventType: 'payment.initiated',
    }
    store = await openRedisStateStore(options)
    log = await openRedisEventLog(options)
    generations = await openRedisGenerationStore(options)
    const limits = { replicationFactor: 1, retentionMs: 3_600_000, retentionBytes: 1_000_000, maxRecordBytes: 1_000 }
    await log.createTopic({ topic: 'events', partitions: 1, ...limits })
  })
  afterAll(async () => {
    await Promise.allSettled([store.close(), log.close(), generations.close()])
    operator.disconnect()
    await server.stop()
  })

  const writes = (name: string): (readonly [string, () => Promise<unknown>])[] => [
    ['state_unavailable', () => store.compareAndSet([write(name)])],
    ['state_unavailable', () => store.advance('events', 0, 1)],
    ['state_unavailable', () => store.keepLayouts(new Map([[1, name]]))],
    ['state_unavailable', () => store.replaceMetadata(name, null, 'held')],
    ['state_unavailable', () => generations.refuse(1, { code: 'x', detail: name, timeMs: 1 })],
    ['log_unavailable', () => log.publish([{ topic: 'events', key: name, value: name }])],
  ]

  it.each(refusals)('$name: every write asks to be tried again, and goes through once it has passed', async (one) => {
    const all = writes(one.name)
    await one.begin(operator, server)
    const met: unknown[] = []
    for (const [code, call] of all) {
      const error: unknown = await call().then(
        () => 'answered',
        (failure: unknown) => failure,
      )
      const known = isRiverbankError(error) ? { code: error.code, canRetry: error.canRetry } : error
      const expected = one.name.startsWith('OOM') && code === 'log_unavailable' ? 'log_full' : code
      met.push({ met: known, expected: { code: expected, canRetry: true } })
    }
    await one.end(operator, server)
    for (const { met: known, expected } of met as { met: unknown; expected: unknown }[]) expect(known).toEqual(expected)
    for (const [, call] of all) await retrying(call, within.deadlineMs)
  })

  it('NOSCRIPT: a script that the server has forgotten is sent again, and nobody notices', async () => {
    for (const [, call] of writes('forgotten')) {
      await operator.call('SCRIPT', 'FLUSH')
      await call()
    }
  })

  it.each(refusals)('$name: a member of a group goes on when it has passed', async (one) => {
    const member = new Member()
    const options = { maxRecords: 10, maxBytes: 1_000_000, maxWaitMs: 20, sessionTimeoutMs: 10_000, concurrency: 1 }
    const group = `group-${one.name.split(':', 1)[0]}`
    const subscription = await log.consume({ ...options, group, topics: ['events'] }, member)
    let failure: unknown = null
    subscription.finished.catch((error: unknown) => (failure = error))
    await eventually(() => member.records.length > 0, within)
    await one.begin(operator, server)
    await one.end(operator, server)
    const last = `after ${one.name}`
    await retrying(() => log.publish([{ topic: 'events', key: 'a', value: last }]), within.deadlineMs)
    await eventually(() => failure !== null || member.texts().at(-1) === last, within)
    expect(failure).toBeNull()
    await subscription.stop()
  })

  describe('a connection', () => {
    afterEach(async () => {
      await set(operator, 'maxclients', '1000')
      await set(operator, 'requirepass', '')
    })
    const open = () =>
      openRedisStateStore({ url: server.url, namespace: 'late', commandTimeoutMs: timeoutMs }).then((one) =>
        one.close(),
      )

    it('is worth another try where the server has too many clients', async () => {
      await set(operator, 'maxclients', '1')
      expect(await open().catch((error: unknown) => error)).toMatchObject({ code: 'state_unavailable', canRetry: true })
    })

    it('is not where the server wants another password', async () => {
      await set(operator, 'requirepass', 'another')
      expect(await codeOf(open())).toBe('state_unavailable')
      expect(await open().catch((error: unknown) => error)).toMatchObject({ canRetry: false })
    })
  })
})
