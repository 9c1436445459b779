import { identifier, literal } from '../../base/sql.ts'
import type { EntityManifest } from '../../engine/feature-set.ts'
import type { LakeSchema, ScoredColumns } from '../tables/lake-schema.ts'
import { byScoredType } from '../tables/scored-sql.ts'
import type { Watermark, Topics } from './watermark.ts'
import { idPartSql, idSeparator } from '../../engine/entity-id.ts'
import type { LakeQuery } from './lake-query.ts'

export interface WorkingTablesOptions {
  readonly schema: LakeSchema
  readonly topics: Topics
  readonly watermark: Watermark
  /** Some positions may be there twice. */
  readonly hasDoubles: boolean
  /** Fields of the events' data to copy; those that make ids of entities always are. */
  readonly fields: readonly string[]
}

/**
 * Makes narrow tables that all checks share, each position once (I5 reports what stands twice):
 * - `score_rows`: the scores, copied only when some stand twice;
 * - `caused`: the records of the event topic, with their fields;
 * - `applied`: the first copy of every score and observation, by the position of its cause, with the cause beside it
 *   (`cause_valid` is null when the cause is not in the lake, or only as bytes: see {@link validSql}); `is_ours`: of
 *   this feature set;
 * - `unanswered`: valid events without a row of their own. `answered_elsewhere`: a duplicate of an applied event of
 *   this aggregate with this id. `ahead`: at or above the watermark, so the answer may still come.
 *
 * `score_rows` and `applied` are there for every connection to the database, the others are temporary. Answers whether
 * there may be copies at all.
 */
export async function createWorkingTables(
  query: LakeQuery,
  { schema, topics, watermark, hasDoubles, fields }: WorkingTablesOptions,
): Promise<{ readonly hasCopies: boolean }> {
  const { manifest } = schema
  const owner = identifier(schema.owner)
  const [cause, timeMs] = [byScoredType(schema, idOf), byScoredType(schema, ({ timeMs }) => identifier(timeMs))]
  const data = columnsOf(schema, fields)
  const entities = manifest.entities.flatMap(({ name }) =>
    ['id', 'sequence', 'incarnation', 'outcome'].map((part) => identifier(`${name}_${part}`)),
  )
  const isOurs = `feature_set = ${literal(manifest.hash)} AS is_ours`
  const shared = [isOurs, 'source_partition', 'source_offset', 'log_partition', 'log_offset', ...entities].join(', ')
  const shares = manifest.entities.map(({ name }) => {
    return `(hash(${identifier(`${name}_id`)}) % ${sharesMax})::USMALLINT AS ${shareColumn(name)}`
  })
  const ofEvents = `source_topic = ${literal(topics.events)}`
  // Sorting wide rows is slow, and hardly ever is one there twice.
  const once = hasDoubles ? 'QUALIFY row_number() OVER (PARTITION BY log_partition, log_offset) = 1' : ''
  const whole = 'SELECT * FROM scores'
  await query.run(hasDoubles ? `CREATE TABLE score_rows AS ${whole} ${once}` : `CREATE VIEW score_rows AS ${whole}`)
  await query.run(`CREATE TEMP TABLE caused AS
    SELECT log_partition, log_offset, append_time_ms, ${validSql} AS valid, event_id, event_type,
      ${[`${owner} AS owner_id`, 'event_time_ms', 'observed_time_ms', ...data.map(identifier)].join(', ')}
    FROM events WHERE log_topic = ${literal(topics.events)}
    ${once}`)
  const hasCopies = await findCopies(query)
  const firstOnly = hasCopies ? firstCopies : ''
  await query.run(`CREATE TABLE applied AS
    WITH output_events AS (
      SELECT true AS is_score, ${cause} AS cause_id, ${timeMs} AS stated_time_ms, ${shared}
      FROM score_rows WHERE ${ofEvents}
      UNION ALL
      SELECT false, observed_id, NULL, ${shared} FROM observations WHERE ${ofEvents}
    ), first_copies AS (
      SELECT *, ${owner} AS owner_id, ${shares.join(', ')} FROM output_events ${firstOnly}
    )
    SELECT a.*, c.valid AS cause_valid, c.event_type, c.event_id, c.owner_id AS cause_owner_id, c.append_time_ms,
      ${['c.event_time_ms', 'c.observed_time_ms', ...data.map(causeOf)].join(', ')}
    FROM first_copies a
    LEFT JOIN caused c ON c.log_partition = a.source_partition AND c.log_offset = a.source_offset`)
  const next = [...watermark.next].map(([partition, offset]) => `(${partition}, ${offset})`)
  await query.run('CREATE TEMP TABLE watermark (log_partition BIGINT, next_offset BIGINT)')
  if (next.length > 0) await query.run(`INSERT INTO watermark VALUES ${next.join(', ')}`)
  await query.run(`CREATE TEMP TABLE without_row AS
    SELECT * FROM caused c
    ANTI JOIN applied a ON a.source_partition = c.log_partition AND a.source_offset = c.log_offset
    WHERE c.valid`)
  await query.run(`CREATE TEMP TABLE unanswered AS
    SELECT c.*, c.log_offset >= coalesce(f.next_offset, 0) AS ahead, (c.owner_id, c.event_id) IN (
        SELECT (owner_id, cause_id) FROM applied WHERE cause_id IN (SELECT event_id FROM without_row)
      ) AS answered_elsewhere
    FROM without_row c
    LEFT JOIN watermark f ON f.log_partition = c.log_partition`)
  return { hasCopies }
}

const idOf = ({ id }: ScoredColumns) => identifier(id)

/** NULL where the materializer failed at the record and kept its bytes: the lake cannot know whether it is an event. */
const validSql = "CASE WHEN coalesce(error_code, '') NOT IN ('processing_crashed', 'processing_failed') THEN valid END"

/** Whether any answers might be copies: two rows name one offset, in whatever topic. */
async function findCopies(query: LakeQuery): Promise<boolean> {
  const answers = ['scores', 'observations'].map((table) => `SELECT source_partition, source_offset FROM ${table}`)
  const [copied] = await query.rows(
    `SELECT 1 AS found FROM (${answers.join(' UNION ALL ')})
     GROUP BY source_partition, source_offset HAVING count(*) > 1 LIMIT 1`,
  )
  return copied !== undefined
}

const sharesMax = 4_096
const shareColumn = (entity: string) => identifier(`${entity}_share`)

/** One of so many shares of an entity's ids, over `applied a`: compares a number, so that skipping rows is cheap. */
export function shareSql({ name }: Pick<EntityManifest, 'name'>, share: number, of: number): string {
  const edge = (share: number) => Math.floor((share * sharesMax) / of)
  return `a.${shareColumn(name)} >= ${edge(share)} AND a.${shareColumn(name)} < ${edge(share + 1)}`
}

const firstCopies =
  'QUALIFY row_number() OVER (PARTITION BY source_partition, source_offset ORDER BY log_partition, log_offset) = 1'

function columnsOf({ fields, manifest }: LakeSchema, asked: readonly string[]): string[] {
  const all = [...manifest.entities.flatMap(({ keyFields }) => keyFields), ...asked]
  return [...new Set(all.flatMap((field) => fields.get(field)?.name ?? []))]
}

const causeOf = (column: string) => `c.${identifier(column)} AS ${causeColumn(column)}`

/** The column of `applied` with a column of `events`. */
export function causeColumn(column: string): string {
  return identifier(`cause_${column}`)
}

/** SQL of the entity's id in an event, NULL where the event names none; null when the events have no columns for it. */
export function entityIdSql(
  { fields }: LakeSchema,
  { keyFields }: Pick<EntityManifest, 'keyFields'>,
  nameOf = identifier,
): string | null {
  const columns = keyFields.map((field) => fields.get(field))
  const named = columns.flatMap((column) => {
    if (column === undefined) return []
    return column.type === 'VARCHAR' ? nameOf(column.name) : `${nameOf(column.name)}::VARCHAR`
  })
  if (named.length < columns.length || named.length === 0) return null
  return named.length === 1 ? (named[0] ?? null) : named.map(idPartSql).join(` || ${literal(idSeparator)} || `)
}
