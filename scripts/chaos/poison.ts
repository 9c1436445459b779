import { between, type Fault } from './faults.ts'
import type { Installation } from './installation.ts'
import { connectRedis } from '../../src/edges/redis/server/connection.ts'
import { partitionKeys } from '../../src/edges/redis/log/log-keys.ts'
import type { OutgoingRecord } from '../../src/ports/log.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
const broken = bytes('\xff\x00\xfe')

/**
 * Records that producers may send and readers forget: the bytes of an event with keys, headers and values that are no
 * text.
 */
function poisonOf(topic: string, partition: number, value: Uint8Array | string): OutgoingRecord[] {
  const record = { topic, partition, key: 'poison', value }
  const header = [bytes('a'), bytes('1')] as const
  return [
    { ...record, exact: { key: null, headers: [], isValueNull: true } },
    { ...record, exact: { key: null, headers: [[bytes('a'), null], header, header], isValueNull: false } },
    { ...record, exact: { key: broken, headers: [[broken, broken]], isValueNull: false } },
    { ...record, exact: { key: bytes(''), headers: [[bytes('__proto__'), broken]], isValueNull: false } },
    { ...record, value: broken },
    { ...record, value: '['.repeat(200_000) },
  ]
}

/** Stream entries that no version of ours writes. */
const entries: readonly (readonly (string | Buffer)[])[] = [
  ['name', 'value'],
  ['r', ''],
  ['r1', 'half a'],
  ['r1', Buffer.alloc(40, 0xff)],
]

/**
 * Mixes unreadable records among the others, in every partition of the events and of the scores, from our producer and,
 * into the redis log, from another program. Each must become one dead letter or one row, and no role may stop.
 */
export const poison: Fault = {
  name: 'poison records',
  async inflict(installation, random) {
    const { fleet, log, config, names, driver } = installation
    await fleet.untilShared()
    let sent = 0
    for (let round = 0; round < 3; round += 1) {
      for (const topic of [names.topics.events, names.topics.scores]) {
        const partition = between(random, 0, config.PARTITIONS - 1)
        const records = poisonOf(topic, partition, `{"id":"poison-${round}"`)
        await log.publish(records)
        sent += records.length
        if (driver === 'redis') sent += await appendForeign(installation, topic, partition)
      }
      await fleet.untilCommitted(2)
    }
    return new Map([['poison records', sent]])
  },
}

async function appendForeign({ config }: Installation, topic: string, partition: number): Promise<number> {
  const connection = { url: config.REDIS_URL, name: 'poison', commandTimeoutMs: 5_000, reconnectMaxDelayMs: 100 }
  const redis = await connectRedis(connection, 'log_unavailable')
  try {
    const { stream } = partitionKeys(config.NAMESPACE, topic, partition)
    for (const fields of entries) await redis.xadd(stream, '*', ...fields)
    return entries.length
  } finally {
    redis.disconnect()
  }
}
