import { deduplication } from '../../../engine/limits.ts'
import { identifier, literal } from '../../../base/sql.ts'
import type { LakeSchema } from '../../tables/lake-schema.ts'
import { hourMs } from '../../../base/units.ts'
import type { Snapshot } from '../../commit/lake.ts'
import { partitionKey } from '../../commit/commit.ts'
import { tallyRows } from '../scores/output-events.ts'
import type { Topics } from '../watermark.ts'
import { countOf, type LakeQuery } from '../lake-query.ts'
import type { Tally } from '../report.ts'
import { causeColumn, entityIdSql } from '../working-tables.ts'

export interface ApplicationInput {
  readonly query: LakeQuery
  readonly schema: LakeSchema
  readonly snapshot: Snapshot
  readonly topics: Topics
}

/**
 * Checks I1 by rows: every valid event was applied, or is the duplicate of one that was; none was applied twice within
 * the deduplication horizon; every row answers the event at its position and names that event's entities.
 * (incarnations.ts checks the sequence numbers.) Answers how many events that are not scored may still be observed.
 */
export async function checkApplication(input: ApplicationInput, tally: Tally): Promise<number> {
  const { query, schema } = input
  const isOther = `event_type NOT IN (${schema.scored.map(({ form }) => literal(form.eventType)).join(', ')})`
  const [counts] = await query.rows(
    `SELECT (SELECT count(*) FROM applied) AS applied,
       (SELECT count(*) FROM caused WHERE NOT valid) AS invalid,
       (SELECT count(*) FROM caused WHERE valid IS NULL) AS isolated,
       count(*) FILTER (answered_elsewhere) AS duplicates,
       count(*) FILTER (ahead AND NOT answered_elsewhere AND ${isOther}) AS pending
     FROM unanswered`,
  )
  tally.count('events applied', countOf(counts, 'applied'))
  tally.count('duplicates', countOf(counts, 'duplicates'))
  tally.count('invalid', countOf(counts, 'invalid'))
  if (countOf(counts, 'isolated') > 0) tally.count('kept as bytes alone', countOf(counts, 'isolated'))
  // I2 reports scored events without a score.
  await tallyRows(
    query,
    tally,
    'event_not_applied',
    `SELECT owner_id, event_type, event_id, log_partition, log_offset FROM unanswered
     WHERE NOT ahead AND NOT answered_elsewhere AND ${isOther}`,
  )
  await tallyRows(query, tally, 'applied_twice', appliedTwice(schema))
  const [repeats] = await query.rows(
    `SELECT count(*) AS total FROM (${repeatsSql(schema)}) WHERE NOT coalesce(is_within, false)`,
  )
  if (countOf(repeats, 'total') > 0) tally.count('applied again beyond the horizon', countOf(repeats, 'total'))
  await tallyRows(query, tally, 'wrong_cause', wrongCause())
  for (const entity of schema.manifest.entities) {
    const named = entityIdSql(schema, entity, causeColumn)
    if (named !== null) {
      await tallyRows(query, tally, 'wrong_entity', wrongEntity(entity.name, named))
    }
  }
  await tallyRows(query, tally, 'cause_not_in_lake', withoutCause(input))
  await tallyRows(query, tally, 'cause_isolated', isolatedCauses)
  return countOf(counts, 'pending')
}

/** Events applied twice under one id, so close that the owner's state must have known it. */
function appliedTwice(schema: LakeSchema): string {
  return `SELECT owner_id, cause_id, source_partition, earlier_offset, source_offset FROM (${repeatsSql(schema)})
    WHERE is_within`
}

/** Events that were applied under an id that their owner had applied before, and whether it must have known the id. */
function repeatsSql({ key: { name } }: LakeSchema): string {
  const [sequence, incarnation, outcome] = ['sequence', 'incarnation', 'outcome'].map((part) =>
    identifier(`${name}_${part}`),
  )
  // The state does not remember a label that counts nowhere: it may come again.
  const counts = `${outcome} IN ('applied', 'too_late')`
  return `SELECT *, same_life AND numbers_later <= ${deduplication.ids} AND ms_later <= ${deduplication.hours * hourMs} AS is_within
    FROM (
      SELECT *, ${sequence} - lag(${sequence}) OVER w AS numbers_later, ${incarnation} = lag(${incarnation}) OVER w AS same_life,
        append_time_ms - lag(append_time_ms) OVER w AS ms_later, lag(source_offset) OVER w AS earlier_offset
      FROM applied WHERE ${counts} AND (owner_id, cause_id) IN (
        SELECT (owner_id, cause_id) FROM applied WHERE ${counts} GROUP BY owner_id, cause_id HAVING count(*) > 1)
      WINDOW w AS (PARTITION BY owner_id, cause_id ORDER BY ${sequence})
    ) WHERE earlier_offset IS NOT NULL`
}

/** Rows that are about another event than the one at their position. */
function wrongCause(): string {
  return `SELECT owner_id, cause_id, event_id AS found_id, source_partition, source_offset FROM applied
    WHERE cause_valid IS NOT NULL AND (NOT cause_valid OR cause_id <> event_id OR owner_id IS DISTINCT FROM cause_owner_id
      OR (is_score AND stated_time_ms IS DISTINCT FROM observed_time_ms))`
}

/** Rows without exactly one sequence number at each entity that the event names, or with one elsewhere. */
function wrongEntity(name: string, named: string): string {
  const [id, sequence] = [identifier(`${name}_id`), identifier(`${name}_sequence`)]
  return `SELECT ${literal(name)} AS entity, ${id} AS id, ${named} AS named, cause_id, source_partition, source_offset
    FROM applied WHERE cause_valid AND is_ours
      AND (${id} IS DISTINCT FROM (${named}) OR (${sequence} IS NULL) <> (${id} IS NULL))`
}

/** Answers without a cause: the lake has all events below `covered`, and not theirs. */
function withoutCause({ snapshot, topics }: ApplicationInput): string {
  const covered = [...snapshot.covered].flatMap(([key, next]) => {
    const partition = key.slice(topics.events.length + 1)
    return key === partitionKey(topics.events, Number(partition)) ? [`(${partition}, ${next})`] : []
  })
  const known = covered.length === 0 ? 'SELECT 0, 0 WHERE false' : `VALUES ${covered.join(', ')}`
  return `SELECT owner_id, cause_id, source_partition, source_offset FROM applied
    JOIN (${known}) AS c(log_partition, next_offset) ON c.log_partition = source_partition
    WHERE cause_valid IS NULL AND source_offset < c.next_offset AND NOT EXISTS (${isolatedAt})`
}

const isolatedAt = `SELECT 1 FROM caused i WHERE i.valid IS NULL
  AND i.log_partition = source_partition AND i.log_offset = source_offset`

/** Answers to records of which the lake has only the bytes: verify cannot recompute what follows from them. */
const isolatedCauses = `SELECT owner_id, cause_id, source_partition, source_offset FROM applied
  WHERE EXISTS (${isolatedAt})`
