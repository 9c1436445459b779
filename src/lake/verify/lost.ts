import { literal } from '../../base/sql.ts'
import type { Snapshot } from '../commit/lake.ts'
import { countOf, type LakeQuery } from './lake-query.ts'

/** Offsets of one partition, the last one included. */
export interface Offsets {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
}

/**
 * How many offsets within these were declared lost and are in no file. Ranges of several tables may overlap, and hold
 * offsets of other tables in between: none counts twice, and none that a row has. Reads the view `positions`.
 */
export async function lostOffsets({ lost }: Snapshot, query: LakeQuery, within: Offsets): Promise<number> {
  const { topic, partition } = within
  const ranges = lost
    .filter((range) => range.topic === topic && range.partition === partition)
    .map(({ firstOffset, lastOffset, rows }) => ({
      first: Math.max(firstOffset, within.firstOffset),
      last: Math.min(lastOffset, within.lastOffset),
      rows: rows ?? Infinity,
    }))
    .filter(({ first, last }) => first <= last)
    .sort((a, b) => a.first - b.first)
  if (ranges.length === 0) return 0
  let [size, end] = [0, -1]
  for (const { first, last } of ranges) {
    size += Math.max(0, last - Math.max(first - 1, end))
    end = Math.max(end, last)
  }
  const [held] = await query.rows(
    `SELECT count(DISTINCT log_offset) AS total FROM positions
     WHERE log_topic = ${literal(topic)} AND log_partition = ${partition}
       AND (${ranges.map(({ first, last }) => `log_offset BETWEEN ${first} AND ${last}`).join(' OR ')})`,
  )
  const stated = ranges.reduce((sum, { first, last, rows }) => sum + Math.min(rows, last - first + 1), 0)
  return Math.min(stated, size - countOf(held, 'total'))
}
