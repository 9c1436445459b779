import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openRedisEventLog, type RedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import { encodeFrame } from '../../../../src/edges/redis/log/log-frame.ts'
import { partitionKeys } from '../../../../src/edges/redis/log/log-keys.ts'
import type { LogRecord } from '../../../../src/ports/log.ts'
import { codeOf, Member, text } from '../../../contract/log-probe.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

const spec = {
  ...{ topic: 'events', partitions: 1, replicationFactor: 1, retentionMs: 3_600_000 },
  ...{ retentionBytes: 1_000_000, maxRecordBytes: 10_000 },
}
const options = {
  ...{ group: 'workers', topics: ['events'], maxRecords: 10, maxBytes: 1_000_000, maxWaitMs: 20 },
  ...{ sessionTimeoutMs: 1_500, concurrency: 1 },
}
const within = { deadlineMs: 60_000 }
const ours = (value: string) => ({ topic: 'events', key: 'k', value })

/** The field of a record, and a whole frame, as the log stores them. */
const field = `r${Date.UTC(2026, 3, 1)}`

function stored(): Buffer {
  return encodeFrame({ ...ours('by another'), headers: { a: 'b' } })
}

function withHeaders(json: string): Buffer {
  const frame = Buffer.concat([stored().subarray(0, 8), Buffer.from(`k${json}`), Buffer.from('value')])
  frame.writeUInt32BE(1, 0)
  frame.writeUInt32BE(Buffer.byteLength(json), 4)
  return frame
}

const frames: Readonly<Record<string, readonly (string | Buffer)[]>> = {
  'other fields': ['name', 'value'],
  'our field among others': [field, stored(), 'name', 'value'],
  'our field without a time': ['r', stored()],
  'a time that is no number': ['r1e3', stored()],
  'a time that there is not': ['r99999999999999999', stored()],
  'an empty frame': [field, ''],
  'half a frame': [field, stored().subarray(0, 4)],
  'a frame that is cut in its key': [field, stored().subarray(0, 9)],
  'a length beyond the frame': [field, Buffer.concat([Buffer.alloc(8, 0x7f), Buffer.from('x')])],
  'headers that are no JSON': [field, withHeaders('{"a":')],
  'headers that are no texts': [field, withHeaders('{"a":1}')],
  'headers that are null': [field, withHeaders('null')],
  'headers that are a list of something else': [field, withHeaders('[1,2]')],
}

describe.skipIf(redisAvailable() !== null)('I6: entries that another program appended to the redis log', () => {
  let server: TestRedis
  let redis: Redis
  let log: RedisEventLog
  let namespaces = 0
  let stream = ''
  beforeAll(async () => {
    server = await startTestRedis({ persistence: 'off' })
    redis = new Redis(server.url)
  })
  beforeEach(async () => {
    namespaces += 1
    const namespace = `f${namespaces}`
    stream = partitionKeys(namespace, 'events', 0).stream
    log = await openRedisEventLog({ url: server.url, namespace, commandTimeoutMs: 5_000 })
    await log.createTopic(spec)
  })
  afterEach(() => log.close())
  afterAll(async () => {
    redis.disconnect()
    await server.stop()
  })

  const tailed = async (count: number): Promise<LogRecord[]> => {
    const found: LogRecord[] = []
    const tail = await log.tail({ topic: 'events', from: new Map(), maxRecords: 3, maxWaitMs: 20 }, (batch) => {
      found.push(...batch.records)
      return Promise.resolve()
    })
    await eventually(() => found.length >= count, within)
    await tail.stop()
    return found
  }

  it.each(Object.keys(frames))('%s: one record with a fault, and what follows is read and committed', async (name) => {
    const fields = frames[name] ?? []
    await log.publish([ours('before')])
    await redis.xadd(stream, '*', ...fields)
    const member = new Member()
    await log.consume(options, member)
    await eventually(async () => (await log.committed('workers', 'events')).get(0) === 2, within)
    expect((await log.publish([ours('after')]))[0]?.offset).toBe(2)
    await eventually(async () => (await log.committed('workers', 'events')).get(0) === 3, within)
    const found = await tailed(3)
    expect(found.map(({ offset, fault }) => [offset, fault?.code ?? null])).toEqual([
      [0, null],
      [1, 'record_unreadable'],
      [2, null],
    ])
    const value = Buffer.from(found[1]?.value ?? [])
    const bytes = fields.length === 2 && fields[0] === field ? value : partsOf(value)
    expect(bytes).toEqual(
      fields.length === 2 && fields[0] === field ? Buffer.from(fields[1] ?? '') : fields.map(String),
    )
  })

  it('as the very first entry it is no part of the log, and not in the way of what is', async () => {
    await redis.xadd(stream, '*', 'name', 'value')
    await log.publish([ours('first')])
    expect((await tailed(1)).map((record) => [record.offset, text(record)])).toEqual([[0, 'first']])
  })

  it('takes the next offset when it is well-formed, also from a publisher that did not see it', async () => {
    await log.publish([ours('a')])
    await redis.xadd(stream, '*', field, stored())
    const [position] = await log.publish([ours('b'), ours('c')])
    expect(position?.offset).toBe(2)
    const member = new Member()
    await log.consume(options, member)
    await eventually(async () => (await log.committed('workers', 'events')).get(0) === 4, within)
    expect(member.records.map(text)).toEqual(['a', 'by another', 'b', 'c'])
  })

  it('is committed at the end of the log, where nobody published after it', async () => {
    await log.publish([ours('a')])
    await redis.xadd(stream, '*', field, stored())
    await log.consume(options, new Member())
    await eventually(async () => (await log.committed('workers', 'events')).get(0) === 2, within)
    expect(await log.describeTopic('events')).toEqual([{ partition: 0, start: 0, end: 2 }])
  })

  it('is named to the publisher when its id is above any of the log', async () => {
    await log.publish([ours('a')])
    await redis.xadd(stream, '18446744073709551615-1', 'name', 'value')
    expect(await codeOf(log.publish([ours('b')]))).toBe('log_refused')
    await redis.xdel(stream, '18446744073709551615-1')
  })
})

function partsOf(value: Buffer): string[] {
  return (JSON.parse(value.toString()) as string[]).map((part) => Buffer.from(part, 'base64').toString())
}
