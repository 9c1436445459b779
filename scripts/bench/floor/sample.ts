import { Redis } from 'ioredis'
import type { Installation } from '../installation.ts'
import { names } from '../../../src/app/installation/settings/config.ts'
import { RiverbankError } from '../../../src/base/errors.ts'

/** The number of measured states of each entity. */
const sampleSize = 500

/** The newest score of the installation, envelope included, as every subscriber reads it. */
export async function newestScore({ config, log }: Installation): Promise<Readonly<Record<string, unknown>>> {
  const topic = names(config).topics.scores
  const ranges = (await log.describeTopic(topic)) ?? []
  const filled = ranges.find(({ start, end }) => end > start)
  if (filled === undefined) throw new RiverbankError('no_scores', 'nothing was scored yet')
  const from = new Map(ranges.map(({ partition, start, end }) => [partition, Math.max(start, end - 50)]))
  let take: (text: string) => void = () => undefined
  const found = new Promise<string>((resolve) => (take = resolve))
  const tail = await log.tail({ topic, from, maxRecords: 100, maxWaitMs: 100 }, ({ records }) => {
    // Labels leave a record in the topic too, a short one.
    const longest = records.toSorted((a, b) => b.value.length - a.value.length)[0]
    if (longest !== undefined) take(Buffer.from(longest.value).toString())
    return Promise.resolve()
  })
  try {
    return JSON.parse(await found) as Readonly<Record<string, unknown>>
  } finally {
    await tail.stop()
  }
}

/** Mean length in bytes of the stored states of an entity. */
export async function stateBytes({ config }: Installation, entity: string): Promise<number> {
  const redis = new Redis(config.REDIS_URL)
  try {
    const keys: string[] = []
    for (let cursor = '0'; keys.length < sampleSize;) {
      const [next, found] = await redis.scan(cursor, 'MATCH', `${config.NAMESPACE}:state:{${entity}:*`, 'COUNT', 1_000)
      keys.push(...found)
      cursor = next
      if (cursor === '0') break
    }
    const lengths = await Promise.all(keys.map((key) => redis.strlen(key)))
    return Math.round(lengths.reduce((sum, length) => sum + length, 0) / lengths.length)
  } finally {
    redis.disconnect()
  }
}
