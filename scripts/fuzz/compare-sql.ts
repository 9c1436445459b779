import { identifier, literal } from '../../src/base/sql.ts'
import { entitySql, outcomesSql, type SqlRelations } from '../../src/compile/sql/sql.ts'
import { derivedSql } from '../../src/compile/sql/expression.ts'
import { verdictsSql } from '../../src/compile/sql/labels.ts'
import { verdictOf } from '../../src/engine/observe.ts'
import type { FeaturePlan } from '../../src/engine/plan.ts'
import type { FeatureSet } from '../../src/define/feature-set.ts'
import type { Query } from '../../src/edges/duckdb/query.ts'
import { eventFields } from './expressions.ts'
import { serviceOf, type Observed, type Read, type Told, type Unnamed } from './run-case.ts'

/** Fields of the generator's events, as columns. */
const fields = {
  ...({ customerId: 'VARCHAR', terminalId: 'VARCHAR', amount: 'BIGINT', items: 'BIGINT', kind: 'VARCHAR' } as const),
  ...({ online: 'BOOLEAN', note: 'VARCHAR', paymentId: 'VARCHAR', loss: 'BIGINT' } as const),
  ...({ reason: 'VARCHAR', sure: 'BOOLEAN' } as const),
}

const entryColumns = [
  ['id', 'VARCHAR'],
  ['incarnation', 'BIGINT'],
  ['sequence', 'BIGINT'],
  ['time_ms', 'BIGINT'],
  ['event_time_ms', 'BIGINT'],
  ['is_observed', 'BOOLEAN'],
  ['read_id', 'BIGINT'],
  ['event_type', 'VARCHAR'],
  ['event_id', 'VARCHAR'],
] as const

const relations: SqlRelations = {
  entries: 'fuzz_entries',
  column: (field) => `f_${field}`,
}

/**
 * Compares the generated SQL with the engine's answers, for many streams at once: `told[k]` has the answers of stream
 * k, whose ids become distinct. Answers the stream and the first difference as text, null when there is none.
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
    const isOwner = entity.partitionKey
    if (reads.length === 0 || (entity.features.length === 0 && !isOwner)) continue
    const unnamed = told.flatMap((one) => one.unnamed[index] ?? [])
    await load(query, observed, reads, unnamed)
    const wrong = isOwner ? await compareVerdicts(set, observed, query) : null
    if (wrong !== null) return wrong
    if (entity.features.length === 0) continue
    const late = await query.rows(
      `SELECT id || '/' || sequence AS name FROM (${outcomesSql(set, entity.name, relations)})`,
    )
    const lateNames = new Set(late.map(({ name }) => String(name)))
    for (const { stream, observed: o } of observed) {
      if (verdictOf(o.outcome) !== null) continue
      const said = lateNames.has(`${stream}-${o.id}/${o.sequence}`) ? 'too_late' : 'applied'
      if (said !== o.outcome)
        return { stream, text: `${entity.name} ${o.id} ${o.sequence}: ${o.outcome}, SQL says ${said}` }
    }
    const rows = await query.rows(entitySql(set, entity.name, relations))
    // The SQL answers few reads by joins alone: now and then compares both ways.
    const joined = reads.length % 4 === 0 ? { ...relations, hasFewReads: true } : null
    const again = joined === null ? rows : await query.rows(entitySql(set, entity.name, joined))
    if (rows.length !== reads.length || again.length !== reads.length) {
      return { stream: 0, text: `${entity.name}: SQL answers ${rows.length} and ${again.length} reads` }
    }
    for (const row of again === rows ? rows : [...rows, ...again]) {
      const { stream, read } = reads[Number(row['read_id'])] ?? { stream: 0, read: undefined }
      for (const [i, { name }] of entity.features.entries()) {
        const [found, said] = [read?.features[i] ?? null, row[name] ?? null]
        if (!Object.is(found, said))
          return { stream, text: `${read?.where}: ${name} is ${found}, SQL says ${String(said)}` }
      }
    }
  }
  return compareDerived(set, plan, told, query)
}

/** Compares why labels count nowhere, from the partition-key entity's events. */
async function compareVerdicts(
  set: FeatureSet,
  observed: readonly { readonly stream: number; readonly observed: Observed }[],
  query: Query,
): Promise<{ readonly stream: number; readonly text: string } | null> {
  const sql = verdictsSql(set, {
    entries: "(SELECT *, id || '/' || sequence AS position FROM fuzz_entries WHERE event_type IS NOT NULL)",
    column: relations.column,
  })
  if (sql === null) return null
  const rows = await query.rows(sql)
  const verdicts = new Map(rows.map((row) => [String(row['position']), row['verdict']]))
  for (const { stream, observed: o } of observed) {
    const [found, said] = [verdictOf(o.outcome), verdicts.get(`${stream}-${o.id}/${o.sequence}`) ?? null]
    if (found !== said) return { stream, text: `event ${o.offset}: ${o.outcome}, SQL says ${String(said)}` }
  }
  return null
}

/** Compares derived features, computed in SQL from the engine's reads. */
async function compareDerived(
  set: FeatureSet,
  plan: FeaturePlan,
  told: readonly Told[],
  query: Query,
): Promise<{ readonly stream: number; readonly text: string } | null> {
  const { names } = serviceOf(plan)
  const scored = told.flatMap((one, stream) => one.scored.map((values) => ({ stream, ...values })))
  if (scored.length === 0) return null
  const types = ['number', ...eventFields, ...names].map((name): [string, string] => [identifier(name), 'DOUBLE'])
  const rows = scored.map(({ values, request }, i) => [
    i,
    ...eventFields.map((field) => numberOf(request[field])),
    ...values,
  ])
  await query.run(tableSql('fuzz_values', types, rows))
  const columns = { feature: identifier, request: identifier }
  for (const row of await query.rows(derivedSql(set, columns, { select: '*', from: 'fuzz_values' }))) {
    const { stream, where, values } = scored[Number(row['number'])] ?? { stream: 0, where: '', values: [] }
    for (const { name } of set.derived) {
      const [found, said] = [values[names.indexOf(name)] ?? null, row[`derived ${name}`] ?? null]
      if (!Object.is(found, said)) return { stream, text: `${where}: ${name} is ${found}, SQL says ${String(said)}` }
    }
  }
  return null
}

/** The number in a column of the lake, cast to a double. */
function numberOf(value: unknown): number | null {
  if (typeof value === 'boolean') return value ? 1 : 0
  return typeof value === 'number' ? value : null
}

/**
 * A table of these rows. SQL splits and casts one text per column: the parser needs ten times as long for a list of
 * values, and a number as a literal would be a decimal first. No value has a comma, and none is an empty text.
 */
function tableSql(
  table: string,
  columns: readonly (readonly [name: string, type: string])[],
  rows: readonly (readonly (number | string | null)[])[],
): string {
  const cells = columns.map(([name, type], at) => {
    const texts = rows.map((row) => (Object.is(row[at], -0) ? '-0' : String(row[at] ?? '')))
    return `nullif(unnest(string_split(${literal(texts.join(','))}, ',')), '')::${type} AS ${name}`
  })
  return `CREATE OR REPLACE TEMP TABLE ${table} AS SELECT ${cells.join(',\n')}`
}

async function load(
  query: Query,
  observed: readonly { readonly stream: number; readonly observed: Observed }[],
  reads: readonly { readonly stream: number; readonly read: Read }[],
  unnamed: readonly Unnamed[],
): Promise<void> {
  const placeOf = (stream: number, { id, incarnation, sequence }: Pick<Read, 'id' | 'incarnation' | 'sequence'>) =>
    [`${stream}-${id}`, incarnation, sequence] as const
  // An event's read is in the row of its observation; any other read has a row of its own.
  const readAt = new Map<string, number>()
  for (const [i, { stream, read }] of reads.entries()) {
    if (read.isEvent) readAt.set(placeOf(stream, read).join('/'), i)
  }
  const used = new Set<number>()
  const told = observed.map(({ stream, observed: o }) => {
    const readId = readAt.get(placeOf(stream, o).join('/')) ?? null
    if (readId !== null) used.add(readId)
    const values = Object.keys(fields).map((field) => (o.data[field] as number | string | undefined) ?? null)
    const isObserved = String(verdictOf(o.outcome) === null)
    return [...placeOf(stream, o), o.timeMs, o.eventTimeMs, isObserved, readId, o.eventType, o.eventId, ...values]
  })
  const asked = reads.flatMap(({ stream, read }, i) =>
    used.has(i)
      ? []
      : [[...placeOf(stream, read), read.timeMs, null, 'false', i, null, null, ...Object.keys(fields).map(() => null)]],
  )
  const columns = Object.entries(fields).map(([field, type]): [string, string] => [`f_${field}`, type])
  // History has these events too: without an id, and with a read that finds nothing.
  const without = unnamed.map(({ timeMs, eventType, eventId }, i) => {
    const names = [null, 0, i + 1, timeMs, timeMs, 'true', reads.length + i, eventType, eventId]
    return [...names, ...Object.keys(fields).map(() => null)]
  })
  await query.run(tableSql('fuzz_entries', [...entryColumns, ...columns], [...told, ...asked, ...without]))
}
