import { entitySql, outcomesSql, type SqlRelations } from '../../src/compile/sql.ts'
import { textSql } from '../../src/compile/sql-text.ts'
import type { FeaturePlan } from '../../src/core/plan.ts'
import type { FeatureSet } from '../../src/define/feature-set.ts'
import type { Query } from '../../src/edges/duckdb/query.ts'
import type { Observed, Read, Told } from './run-case.ts'

/** Fields of the generator's events, as columns. */
const fields = { terminalId: 'VARCHAR', amount: 'BIGINT', items: 'BIGINT', kind: 'VARCHAR' } as const

const relations: SqlRelations = {
  observations: 'fuzz_observations',
  reads: 'fuzz_reads',
  column: (field) => `f_${field}`,
}

/**
 * The generated SQL against what the engine answered, for many streams at once: `told[k]` is stream k, whose ids become
 * ids of its own. Answers the stream and the first difference in words, null when there is none.
 */
export async function compareWithSql(
  set: FeatureSet,
  plan: FeaturePlan,
  told: readonly Told[],
  query: Query,
): Promise<{ readonly stream: number; readonly text: string } | null> {
  for (const [index, entity] of plan.entities.entries()) {
    const reads = told.flatMap((one, stream) => (one.reads[index] ?? []).map((read) => ({ stream, read })))
    const observed = told.flatMap((one, stream) => (one.observed[index] ?? []).map((o) => ({ stream, observed: o })))
    if (entity.features.length === 0 || reads.length === 0) continue
    await load(query, observed, reads)
    const late = await query.rows(
      `SELECT id || '/' || sequence AS name FROM (${outcomesSql(set, entity.name, relations)})`,
    )
    const lateNames = new Set(late.map(({ name }) => String(name)))
    for (const { stream, observed: o } of observed) {
      const said = lateNames.has(`${stream}-${o.id}/${o.sequence}`) ? 'too_late' : 'applied'
      if (said !== o.outcome)
        return { stream, text: `${entity.name} ${o.id} ${o.sequence}: ${o.outcome}, SQL says ${said}` }
    }
    const rows = await query.rows(entitySql(set, entity.name, relations))
    if (rows.length !== reads.length) return { stream: 0, text: `${entity.name}: SQL answers ${rows.length} reads` }
    for (const row of rows) {
      const { stream, read } = reads[Number(row['read_id'])] ?? { stream: 0, read: undefined }
      for (const [i, { name }] of entity.features.entries()) {
        const [found, said] = [read?.features[i] ?? null, row[name] ?? null]
        if (!Object.is(found, said))
          return { stream, text: `${read?.where}: ${name} is ${found}, SQL says ${String(said)}` }
      }
    }
  }
  return null
}

async function load(
  query: Query,
  observed: readonly { readonly stream: number; readonly observed: Observed }[],
  reads: readonly { readonly stream: number; readonly read: Read }[],
): Promise<void> {
  const columns = Object.entries(fields).map(([field, type]) => `f_${field} ${type}`)
  await query.run(`CREATE OR REPLACE TEMP TABLE fuzz_observations (id VARCHAR, born BIGINT, sequence BIGINT, time_ms BIGINT,
    event_type VARCHAR, ${columns.join(', ')})`)
  await query.run(
    'CREATE OR REPLACE TEMP TABLE fuzz_reads (read_id BIGINT, id VARCHAR, born BIGINT, sequence BIGINT, time_ms BIGINT)',
  )
  const told = observed.map(({ stream, observed: o }) => [
    ...[`${stream}-${o.id}`, o.born, o.sequence, o.timeMs, o.eventType],
    ...Object.keys(fields).map((field) => (o.data[field] as number | string | undefined) ?? null),
  ])
  const asked = reads.map(({ stream, read }, i) => [i, `${stream}-${read.id}`, read.born, read.sequence, read.timeMs])
  if (told.length > 0) await query.run(`INSERT INTO fuzz_observations VALUES ${told.map(rowSql).join(', ')}`)
  await query.run(`INSERT INTO fuzz_reads VALUES ${asked.map(rowSql).join(', ')}`)
}

function rowSql(values: readonly (number | string | null)[]): string {
  return `(${values.map((value) => (value === null ? 'NULL' : typeof value === 'number' ? value : textSql(value))).join(', ')})`
}
