import { literal } from '../../base/sql.ts'
import type { EventLog } from '../../ports/log.ts'
import { partitionKey } from '../commit/commit.ts'
import type { Snapshot } from '../commit/lake.ts'
import { countOf, type LakeQuery } from './lake-query.ts'

/**
 * Positions of the log, read before the lake's snapshot: first the processor's, then the ends. So everything below the
 * processor's positions was published below the ends.
 */
export interface LogPositions {
  /** Next offset of the event topic that the processor has not committed, by partition. */
  readonly committed: ReadonlyMap<number, number>
  /** By topic and partition (`<topic>/<partition>`): one past the newest record. */
  readonly ends: ReadonlyMap<string, number>
  /** Every offset holds a record: true for the redis driver, unknown for Kafka. */
  readonly dense: boolean
}

export interface Topics {
  readonly events: string
  readonly scores: string
}

/** Which events the lake must have. */
export interface Watermark {
  readonly kind: 'committed' | 'seen'
  /** By partition of the event topic: the lake must have events below, and their scores or observations. */
  readonly next: ReadonlyMap<number, number>
  /** Nothing at all is under way: what is missing now is lost. */
  readonly settled: boolean
}

export async function readLogPositions(
  log: Pick<EventLog, 'driver' | 'describeTopic' | 'committed'>,
  topics: Topics,
  group: string,
): Promise<LogPositions> {
  const committed = await log.committed(group, topics.events)
  const ends = new Map<string, number>()
  for (const topic of [topics.events, topics.scores]) {
    for (const { partition, end } of (await log.describeTopic(topic)) ?? [])
      ends.set(partitionKey(topic, partition), end)
  }
  return { committed, ends, dense: log.driver === 'redis' }
}

/** Records of a topic that the lake does not cover; null without a log. */
export function lagOf(
  snapshot: Pick<Snapshot, 'covered'>,
  positions: LogPositions | null,
  topic: string,
): number | null {
  if (positions === null) return null
  let lag = 0
  for (const [key, end] of positions.ends) {
    if (key.startsWith(`${topic}/`)) lag += Math.max(0, end - (snapshot.covered.get(key) ?? 0))
  }
  return lag
}

/**
 * When the lake has all scores of the log, the watermark is the processor's positions, because it commits after it
 * publishes (I4). Else it is what the lake proves: a processor answers one partition's events in order, so everything
 * below the newest answered event is there. One partition's answers may be in several partitions of the score topic (a
 * producer that keys otherwise): each of them must have come that far.
 */
export async function findWatermark(
  query: LakeQuery,
  snapshot: Snapshot,
  positions: LogPositions | null,
  topics: Topics,
): Promise<Watermark> {
  if (positions !== null && lagOf(snapshot, positions, topics.scores) === 0) {
    const behind = [...positions.ends].some(([key, end]) => {
      if (!key.startsWith(`${topics.events}/`)) return false
      const partition = Number(key.slice(topics.events.length + 1))
      return end > (positions.committed.get(partition) ?? 0)
    })
    const settled = !behind && lagOf(snapshot, positions, topics.events) === 0
    return { kind: 'committed', next: positions.committed, settled }
  }
  const rows = await query.rows(
    `SELECT source_partition, min(newest) + 1 AS next FROM (
       SELECT source_partition, log_partition, max(source_offset) AS newest
       FROM (SELECT source_topic, source_partition, source_offset, log_partition FROM scores
             UNION ALL SELECT source_topic, source_partition, source_offset, log_partition FROM observations)
       WHERE source_topic = ${literal(topics.events)} GROUP BY ALL
     ) GROUP BY source_partition`,
  )
  const next = new Map(rows.map((row) => [countOf(row, 'source_partition'), countOf(row, 'next')]))
  return { kind: 'seen', next, settled: false }
}
