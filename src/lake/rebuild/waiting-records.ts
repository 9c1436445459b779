import { identifier, literal } from '../../base/sql.ts'
import type { FeaturePlan } from '../../engine/plan.ts'
import type { LakeSchema } from '../tables/lake-schema.ts'
import { waitingText } from '../../events/codec/resent-record.ts'
import type { Topics } from '../verify/watermark.ts'
import { countOf, type LakeQuery } from '../verify/lake-query.ts'

/** Records of labels with an unknown subject, as states keep them, by {@link placeOf}. */
export type WaitingRecords = ReadonlyMap<number, string | null>

/** One number for a position of the event topic. */
export const placeOf = (partition: number, offset: number) => partition * 2 ** 44 + offset

/**
 * Reads the record of every label that the lake logs as unknown or does not log; the engine decides which of them wait.
 */
export async function readWaitingRecords({
  query,
  plan,
  schema,
  topics,
}: {
  readonly query: LakeQuery
  readonly plan: FeaturePlan
  readonly schema: LakeSchema
  readonly topics: Topics
}): Promise<WaitingRecords> {
  const types = [...plan.events.values()].filter(({ bindings }) =>
    bindings.some((binding) => (binding?.label ?? null) !== null),
  )
  if (types.length === 0) return new Map()
  const outcome = identifier(`${schema.key.name}_outcome`)
  const rows = await query.rows(`SELECT log_partition, log_offset, coalesce(decode(raw), body) AS value,
      raw IS NOT NULL AS is_binary, headers, traceparent
    FROM events SEMI JOIN (
      SELECT source_partition AS log_partition, source_offset AS log_offset FROM applied WHERE ${outcome} = 'unknown_subject'
      UNION ALL SELECT log_partition, log_offset FROM unanswered
    ) USING (log_partition, log_offset)
    WHERE valid AND log_topic = ${literal(topics.events)} AND event_type IN (${types.map(({ type }) => literal(type)).join(', ')})`)
  return new Map(
    rows.map((row) => [
      placeOf(countOf(row, 'log_partition'), countOf(row, 'log_offset')),
      waitingText({
        value: String(row['value']),
        isBinary: row['is_binary'] === true,
        headers: textOrNull(row['headers']),
        traceparent: textOrNull(row['traceparent']),
        partition: countOf(row, 'log_partition'),
        offset: countOf(row, 'log_offset'),
      }),
    ]),
  )
}

const textOrNull = (value: unknown) => (typeof value === 'string' ? value : null)
