import { literal } from '../../base/sql.ts'
import type { EventLog } from '../../ports/log.ts'
import { partitionKey } from '../commit/commit.ts'
import type { Snapshot } from '../commit/lake.ts'
import { countOf, type LakeQuery } from './lake-query.ts'

/**
 * What the log said, read in this order and before the lake's snapshot: first the processor's positions, then the ends.
 * So everything below the positions was published below the ends.
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

/** Which events must have left a trace in the lake. */
export interface Watermark {
  readonly kind: 'committed' | 'seen'
  /** By partition of the event topic: events below must have been scored or observed, and be in the lake. */
  readonly next: ReadonlyMap<number, number>
  /** Nothing at all is on its way: what is missing now is lost. */
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
 * With a log whose scores are all in the lake: the processor's positions, because it commits after it has published
 * (I4). Else what the lake itself proves: one partition's events are answered in order, so everything below the newest
 * answered event is there. Answers of one partition may be in several partitions of the score topic (a producer that
 * keys otherwise): each of them must have come that far.
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
