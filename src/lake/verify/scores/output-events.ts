import { literal } from '../../../base/sql.ts'
import { countOf, type SqlValue, type LakeQuery } from '../lake-query.ts'
import type { LakeSchema, ScoredColumns } from '../../tables/lake-schema.ts'
import { shown, type Tally } from '../report.ts'

/**
 * Checks I2: every valid event of each scored type below the watermark has a score, and all copies of a score are
 * equal. Answers the pending events of each type, by its word.
 */
export async function checkOutputEvents(
  query: LakeQuery,
  { scored }: Pick<LakeSchema, 'scored'>,
  hasCopies: boolean,
  tally: Tally,
): Promise<ReadonlyMap<string, number>> {
  const pending = new Map<string, number>()
  for (const one of scored) {
    pending.set(one.plural, await checkScored(query, one, tally))
    if (scored.length > 1) await countScores(query, one, tally)
  }
  const [totals] = await query.rows(
    `SELECT (SELECT count(*) FROM applied WHERE is_score) AS scores, (SELECT count(*) FROM score_rows) AS score_rows`,
  )
  tally.count('scores', countOf(totals, 'scores'))
  tally.count('copies', countOf(totals, 'score_rows') - countOf(totals, 'scores'))
  for (const table of hasCopies ? (['scores', 'observations'] as const) : []) await checkCopies(query, table, tally)
  return pending
}

async function countScores(query: LakeQuery, { form, plural }: ScoredColumns, tally: Tally): Promise<void> {
  const [counted] = await query.rows(
    `SELECT count(*) AS total FROM applied WHERE is_score AND event_type = ${literal(form.eventType)}`,
  )
  tally.count(scoresOf(plural), countOf(counted, 'total'))
}

/** The name under which the report counts the scores of one of several types. */
export const scoresOf = (plural: string) => `scores of ${plural}`

async function checkScored(query: LakeQuery, { form, plural }: ScoredColumns, tally: Tally): Promise<number> {
  const isScored = `event_type = ${literal(form.eventType)}`
  const [counted] = await query.rows(
    `SELECT count(*) AS events FROM (SELECT DISTINCT owner_id, event_id FROM caused WHERE valid AND ${isScored})`,
  )
  tally.count(plural, countOf(counted, 'events'))
  const unscored = `SELECT owner_id, event_id, bool_and(ahead) AS pending, min(log_partition) AS log_partition,
      min(log_offset) AS log_offset
    FROM unanswered WHERE ${isScored} AND NOT answered_elsewhere GROUP BY owner_id, event_id`
  const [counts] = await query.rows(`SELECT count(*) FILTER (pending) AS pending FROM (${unscored})`)
  await tallyRows(query, tally, 'score_missing', `${unscored} HAVING NOT pending`)
  return countOf(counts, 'pending')
}

/** Columns in which copies may differ: where and when each was published. */
const ownToACopy = ['log_topic', 'log_partition', 'log_offset', 'append_time_ms', 'materialized_at_ms'] as const

async function checkCopies(query: LakeQuery, table: 'scores' | 'observations', tally: Tally): Promise<void> {
  const described = await query.rows(`DESCRIBE SELECT * EXCLUDE (${ownToACopy.join(', ')}) FROM ${table}`)
  const columns = described.map((row) => String(row['column_name']))
  const at = ['source_topic', 'source_partition', 'source_offset', 'event_id'].map((name) => columns.indexOf(name))
  let first: readonly SqlValue[] | null = null
  const isOf = (a: readonly SqlValue[], b: readonly SqlValue[]) => at.slice(0, 3).every((i) => a[i] === b[i])
  await query.each(
    `SELECT * EXCLUDE (${ownToACopy.join(', ')}) FROM ${table}
     SEMI JOIN (SELECT source_topic, source_partition, source_offset FROM ${table} GROUP BY ALL HAVING count(*) > 1)
       USING (source_topic, source_partition, source_offset)
     ORDER BY source_topic, source_partition, source_offset, log_partition, log_offset`,
    (rows) => {
      for (const row of rows) {
        if (first === null || !isOf(first, row)) {
          first = row
          continue
        }
        const original = first
        // Object.is distinguishes -0 from 0, as the bytes do.
        const column = row.findIndex((cell, i) => !Object.is(cell, original[i]))
        if (column < 0) continue
        tally.violation('copies_differ', () => ({
          table,
          event: shown(original[at[3] ?? 0]),
          column: columns[column] ?? '',
          first: shown(original[column]),
          copy: shown(row[column]),
        }))
      }
    },
  )
}

/** Counts every row that `sql` answers as a violation; shows the first ones. */
export async function tallyRows(query: LakeQuery, tally: Tally, code: string, sql: string): Promise<void> {
  const [counted] = await query.rows(`SELECT count(*) AS total FROM (${sql})`)
  const total = countOf(counted, 'total')
  if (total === 0) return
  const examples = await query.rows(`SELECT * FROM (${sql}) ORDER BY ALL LIMIT 10`)
  for (const [i, row] of examples.entries()) {
    const fields = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, shown(value)]))
    tally.violation(code, () => fields, i === 0 ? total - examples.length + 1 : 1)
  }
}
