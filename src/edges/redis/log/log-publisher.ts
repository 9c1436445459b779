import type { Redis } from 'ioredis'
import { RiverbankError } from '../../../base/errors.ts'
import { partitionOf } from '../../../events/partitioner.ts'
import type { OutgoingRecord, Position } from '../../../ports/log.ts'
import { redisFailure } from '../server/connection.ts'
import { encodeFrame, entryOverheadBytes, recordBytes } from './log-frame.ts'
import { appendScript } from './log-scripts.ts'
import { inOrder, type RedisTopics, type TopicInfo } from './log-topics.ts'
import { integerIn, listIn, textIn } from '../server/reply.ts'

/** The records of one append script: the server does nothing else meanwhile, so it may take only a few milliseconds. */
const chunkRecordsMax = 500
const chunkBytesMax = 1024 * 1024

interface Placed {
  /** The index of the position in the answer. */
  readonly index: number
  readonly frame: Buffer
}

interface Lane {
  readonly info: TopicInfo
  readonly partition: number
  readonly placed: Placed[]
}

/** Appends records; see {@link EventLog.publish} for the contract. */
export async function publishRecords(
  redis: Redis,
  topics: RedisTopics,
  records: readonly OutgoingRecord[],
): Promise<readonly Position[]> {
  const lanes = await sortIntoLanes(topics, records)
  const positions: Position[] = []
  // Partitions side by side; the chunks of one partition one after the other, so that their order holds when one fails.
  const results = await Promise.allSettled(lanes.map((lane) => appendLane(redis, topics, lane, positions)))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return positions
}

async function sortIntoLanes(topics: RedisTopics, records: readonly OutgoingRecord[]): Promise<Lane[]> {
  const lanes = new Map<string, Lane>()
  const infos = new Map<string, TopicInfo>()
  for (const [index, record] of records.entries()) {
    const info = infos.get(record.topic) ?? (await topics.require(record.topic))
    infos.set(record.topic, info)
    const partition = record.partition ?? partitionOf(record.key, info.partitions.length)
    if (info.partitions[partition] === undefined) {
      throw new RiverbankError('topic_missing', `topic ${record.topic} has no partition ${partition}`)
    }
    const frame = encodeFrame(record)
    const bytes = recordBytes(frame)
    if (bytes > info.maxRecordBytes || frame.length + entryOverheadBytes > info.retentionBytes) {
      const why = `a record of ${bytes} bytes for ${record.topic}, which takes ${info.maxRecordBytes}`
      throw new RiverbankError('record_too_large', why)
    }
    const name = `${record.topic}/${partition}`
    const lane = lanes.get(name) ?? { info, partition, placed: [] }
    lane.placed.push({ index, frame })
    lanes.set(name, lane)
  }
  return [...lanes.values()]
}

async function appendLane(redis: Redis, topics: RedisTopics, lane: Lane, positions: Position[]): Promise<void> {
  const { info, partition } = lane
  const keys = info.partitions[partition]
  if (keys === undefined) return
  for (const chunk of chunksOf(lane)) {
    const frames = chunk.map((placed) => placed.frame)
    let reply: unknown
    try {
      reply = await appendScript.run(redis, inOrder(keys), [info.incarnation, ...frames])
    } catch (error) {
      throw redisFailure('log_unavailable', `publishing to ${info.topic}/${partition}`, error)
    }
    const [status, found] = listIn(reply)
    refuse(topics, lane, textIn(status), textIn(found))
    const offset = integerIn(found)
    for (const [i, { index }] of chunk.entries()) positions[index] = { partition, offset: offset + i }
  }
}

function refuse(topics: RedisTopics, { info, partition }: Lane, status: string, found: string): void {
  if (status === 'ok') return
  if (status === 'full') {
    const why = `${info.topic}/${partition} is full, and a group has read only up to offset ${found}`
    throw new RiverbankError('log_full', why, { canRetry: true })
  }
  if (status === 'foreign') {
    const why = `another program has written ${found} into ${info.topic}/${partition}, above the log: remove it with XDEL`
    throw new RiverbankError('log_refused', why)
  }
  topics.forget(info.topic)
  const why = `topic ${info.topic} was deleted or created anew meanwhile`
  throw new RiverbankError('log_unavailable', why, { canRetry: true })
}

function* chunksOf({ info, placed }: Lane): Generator<Placed[]> {
  // A chunk larger than the retention would never fit.
  const bytesMax = Math.min(chunkBytesMax, info.retentionBytes / 4)
  let chunk: Placed[] = []
  let bytes = 0
  for (const item of placed) {
    const size = item.frame.length + entryOverheadBytes
    if (chunk.length > 0 && (chunk.length === chunkRecordsMax || bytes + size > bytesMax)) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(item)
    bytes += size
  }
  if (chunk.length > 0) yield chunk
}
