import { identifier, literal } from '../../../base/sql.ts'
import { processorSource } from '../../../scoring/output-events.ts'
import { tallyRows } from './output-events.ts'
import type { Topics } from '../watermark.ts'
import type { LakeSchema, ScoredColumns } from '../../tables/lake-schema.ts'
import { byScoredType, scoreType } from '../../tables/scored-sql.ts'
import type { LakeQuery } from '../lake-query.ts'
import type { Tally } from '../report.ts'

/** What every row repeats of its cause beside the time: each column of the row, and the same from the event. */
function ofBoth({ owner }: LakeSchema): Readonly<Record<string, string>> {
  return {
    log_key: `c.${identifier(owner)}`,
    correlation_id: 'coalesce(c.correlation_id, c.event_id)',
    causation_id: 'c.event_id',
    event_time_ms: 'c.append_time_ms',
    source: literal(processorSource),
    traceparent: `CASE WHEN ${isTraceSql('c.traceparent')} THEN c.traceparent END`,
  }
}

/** The traces that events/trace.ts passes on. */
function isTraceSql(column: string): string {
  const isSpelled = `regexp_full_match(${column}, '[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}')`
  const zeros = (count: number) => literal('0'.repeat(count))
  return `${isSpelled} AND ${column} NOT LIKE 'ff%' AND ${column}[4:35] <> ${zeros(32)} AND ${column}[37:52] <> ${zeros(16)}`
}

/** What scores alone repeat of their event, without the aggregate's id, which `applied` compares. */
function ofScores(schema: LakeSchema): Readonly<Record<string, string>> {
  const { owner, scored, manifest } = schema
  const columns = new Set(scored.flatMap(({ repeats }) => repeats.map(({ name }) => name)))
  // Where a type does not repeat an entity's id, `checkApplication` compares it with the event's.
  const isOfEntity = (name: string) => manifest.entities.some((entity) => name === `${entity.name}_id`)
  const repeated = [...columns].map((name): [string, string] => {
    const said = (one: ScoredColumns) => {
      if (one.repeats.some((column) => column.name === name)) return `c.${identifier(name)}`
      const isOwn = [one.id, one.time, one.timeMs].includes(name)
      return isOwn || isOfEntity(name) ? `s.${identifier(name)}` : 'NULL'
    }
    return [name, byScoredType(schema, said, 's.')]
  })
  return {
    event_id: `c.${identifier(owner)} || '/' || c.event_id || ':scored'`,
    ...(scored.length === 1 ? {} : { [scoreType]: emittedSql(scored) }),
    ...Object.fromEntries(repeated.filter(([name]) => name !== owner)),
  }
}

/** The score type of an event `c`; NULL for one that is not scored. */
function emittedSql(scored: readonly ScoredColumns[]): string {
  const cases = scored.map(({ form }) => `WHEN ${literal(form.eventType)} THEN ${literal(form.emits)}`)
  return `CASE c.event_type ${cases.join(' ')} END`
}

/** The position names a label that counts nowhere: the label may come again. */
function ofObservations({ owner, key }: LakeSchema): Readonly<Record<string, string>> {
  const outcome = `s.${identifier(`${key.name}_outcome`)}`
  return {
    event_id: `c.${identifier(owner)} || '/' || CASE WHEN ${outcome} IN ('unknown_subject', 'contradicts_subject')
    THEN c.log_topic || ':' || c.log_partition || ':' || c.log_offset ELSE c.event_id END || ':observed'`,
  }
}

/** Checks that every score and observation repeats the event at its cause's position. */
export async function checkCauses(query: LakeQuery, schema: LakeSchema, topics: Topics, tally: Tally): Promise<void> {
  for (const table of ['scores', 'observations'] as const) {
    const columns = { ...ofBoth(schema), ...(table === 'scores' ? ofScores(schema) : ofObservations(schema)) }
    const differs = Object.entries(columns).map(([name, expected]) => [
      name,
      `s.${identifier(name)} IS DISTINCT FROM ${expected}`,
    ])
    const first = differs.map(([name, differs]) => `WHEN ${differs} THEN ${literal(String(name))}`)
    await tallyRows(
      query,
      tally,
      'cause_differs',
      `SELECT ${literal(table)} AS table_name, s.event_id, CASE ${first.join(' ')} END AS column_name, s.source_partition, s.source_offset
       FROM ${table} s JOIN events c ON c.log_topic = s.source_topic AND c.log_partition = s.source_partition
         AND c.log_offset = s.source_offset
       WHERE s.source_topic = ${literal(topics.events)} AND c.valid AND (${differs.map(([, one]) => one).join(' OR ')})`,
    )
  }
}
