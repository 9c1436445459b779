import { decodeState, layoutIn, type EntityState } from '../../../engine/states.ts'
import { pluralOf } from '../../../base/plural.ts'
import { identifier, literal } from '../../../base/sql.ts'
import type { FeatureSql } from '../../../compile/sql/feature-sql.ts'
import { isRiverbankError } from '../../../base/errors.ts'
import type { LakeSchema } from '../../tables/lake-schema.ts'
import { readFeatures } from '../../../engine/observe.ts'
import type { EntityPlan, FeaturePlan } from '../../../engine/plan.ts'
import type { StateStore } from '../../../ports/states.ts'
import type { Watermark } from '../watermark.ts'
import { countOf, type LakeQuery } from '../lake-query.ts'
import { entriesSql, fieldColumn } from './recompute.ts'
import { shown, type Tally, type Violation } from '../report.ts'
import { entityIdSql } from '../working-tables.ts'

/** Which entities to compare with the store: the same seed chooses the same ones. */
export interface StateSample {
  /** How many of each kind of entity; Infinity for all. */
  readonly perEntity: number
  readonly seed: number
}

export interface StatesInput {
  readonly query: LakeQuery
  readonly schema: LakeSchema
  readonly plan: FeaturePlan
  readonly sql: FeatureSql
  readonly store: Pick<StateStore, 'load' | 'positions'>
  readonly eventTopic: string
  readonly watermark: Watermark
  /** The processor's commits, read before the states; null without a log. */
  readonly committed: ReadonlyMap<number, number> | null
  readonly sample: StateSample
  readonly tally: Tally
  readonly nowMs: () => number
}

/** What the lake implies for one entity's newest incarnation. */
interface Implied {
  readonly id: string
  readonly incarnation: number
  /** One past the newest sequence number that has a row. */
  readonly next: number
  readonly appendTimeMs: number
  /** By partition: one past the newest row, and one past the newest event, duplicates included. */
  readonly offsets: ReadonlyMap<number, { readonly applied: number; readonly handled: number }>
  /** Events that took a number and have no row. */
  readonly unanswered: number
}

/** A state without events under way, so that it must be what the lake implies. */
interface Still {
  readonly implied: Implied
  readonly state: EntityState
}

/** States compared at a time. */
const chunkSize = 2_000

/**
 * Checks I4 from outside: the store holds what the lake implies. For a sample of the entities: the sequence number, the
 * next offset of each partition, and every feature at the entity's newest time, decoded from its tiles and recomputed
 * by the generated SQL. Only reads. The service may run meanwhile: a state that applied an event above the watermark
 * has moved on, and is counted, not compared.
 */
export async function checkStates(input: StatesInput): Promise<void> {
  await checkPositions(input)
  for (const entity of input.plan.entities) {
    const total = await createSample(input, entity)
    input.tally.count(`${pluralOf(entity.name)} in the lake`, total)
    const [counted] = await input.query.rows('SELECT count(*) AS total FROM sampled')
    for (let from = 0; from < countOf(counted, 'total'); from += chunkSize) {
      await input.query.run(`CREATE OR REPLACE TEMP TABLE chosen AS
        SELECT id, incarnation FROM sampled WHERE number >= ${from} AND number < ${from + chunkSize}`)
      await checkChosen(input, entity)
    }
  }
}

/** Checks R6 and I4: the store's position of a partition is never below the commit. */
async function checkPositions({ store, eventTopic, committed, tally }: StatesInput): Promise<void> {
  if (committed === null) return
  const positions = await store.positions(eventTopic)
  for (const [partition, next] of committed) {
    tally.count('positions')
    const position = positions.get(partition) ?? 0
    if (position < next) tally.violation('position_behind_commit', () => ({ partition, position, committed: next }))
  }
}

/** Makes `sampled`: ids with their newest incarnation, numbered. Answers how many there are to choose from. */
async function createSample({ query, sample }: StatesInput, { name }: EntityPlan): Promise<number> {
  const [id, incarnation] = ['id', 'incarnation'].map((part) => identifier(`${name}_${part}`))
  const all = `SELECT ${id} AS id, max(${incarnation}) AS incarnation FROM applied WHERE ${id} IS NOT NULL GROUP BY 1`
  const limit = Number.isFinite(sample.perEntity) ? `LIMIT ${sample.perEntity}` : ''
  await query.run(`CREATE OR REPLACE TEMP TABLE sampled AS
    SELECT id, incarnation, row_number() OVER () - 1 AS number FROM (
      SELECT * FROM (${all}) ORDER BY hash(id || ${literal(`/${sample.seed}`)}), id ${limit})`)
  const [counted] = await query.rows(`SELECT count(DISTINCT ${id}) AS total FROM applied WHERE ${id} IS NOT NULL`)
  return countOf(counted, 'total')
}

async function checkChosen(input: StatesInput, entity: EntityPlan): Promise<void> {
  const { store, tally } = input
  const implied = await impliedOf(input, entity)
  const blobs = await store.load(implied.map(({ id }) => ({ entity: entity.name, id })))
  const still: Still[] = []
  for (const [i, one] of implied.entries()) {
    const place = { entity: entity.name, id: one.id }
    const blob = blobs[i] ?? null
    if (blob === null) {
      if (input.nowMs() - one.appendTimeMs > entity.ttlMs) tally.count('expired')
      else tally.violation('state_missing', () => ({ ...place, sequence: one.next }))
      continue
    }
    if (layoutIn(blob) !== entity.layout && layoutIn(blob) !== -1) {
      // It migrates when an event names it; a later verify compares it.
      tally.count('of another feature set')
      continue
    }
    const state = decoded(entity, blob)
    if (typeof state === 'string') tally.violation('state_unreadable', () => ({ ...place, reason: state }))
    else if (hasMovedOn(state, input.watermark)) tally.count('moved on')
    else if (agrees(tally, place, one, state)) still.push({ implied: one, state })
  }
  tally.count('states compared', still.length)
  await compareFeatures(input, entity, still)
}

function decoded(entity: EntityPlan, blob: Uint8Array): EntityState | string {
  try {
    return decodeState(entity, blob)
  } catch (error) {
    if (isRiverbankError(error, 'state_layout') || isRiverbankError(error, 'state_corrupt')) return error.message
    throw error
  }
}

/** The lake may lack events at or above the watermark. */
function hasMovedOn({ partitions }: EntityState, { next }: Watermark): boolean {
  return partitions.some((progress) => progress.next > (next.get(progress.partition) ?? 0))
}

function agrees(tally: Tally, place: Violation['fields'], one: Implied, state: EntityState): boolean {
  const told = (code: string, what: string, found: number | null, implied: number) => {
    tally.violation(code, () => ({ ...place, sequence: state.sequence, what, state: found, implied }))
    return false
  }
  if (state.incarnation !== one.incarnation)
    return told('state_differs', 'incarnation', state.incarnation, one.incarnation)
  // Duplicates take a number and leave no row.
  const extra = state.sequence - one.next
  if (extra < 0 || extra > one.unanswered) return told('state_differs', 'sequence', state.sequence, one.next)
  for (const [partition, { applied, handled }] of one.offsets) {
    const next = state.partitions.find((progress) => progress.partition === partition)?.next ?? null
    if (next === null || next < applied || next > handled) {
      return told('state_differs', `next offset of partition ${partition}`, next, applied)
    }
  }
  const stranger = state.partitions.find(({ partition }) => !one.offsets.has(partition))
  return stranger === undefined || one.unanswered > 0
    ? true
    : told('state_differs', `next offset of partition ${stranger.partition}`, stranger.next, 0)
}

async function impliedOf({ query, schema }: StatesInput, { name }: EntityPlan): Promise<Implied[]> {
  const [id, incarnation, sequence] = ['id', 'incarnation', 'sequence'].map(
    (part) => `a.${identifier(`${name}_${part}`)}`,
  )
  const key = entityIdSql(schema, schema.manifest.entities.find((entity) => entity.name === name) ?? { keyFields: [] })
  const unanswered =
    key === null
      ? 'SELECT NULL AS id, 0 AS log_partition, 0 AS handled, 0 AS total WHERE false'
      : `SELECT ${key} AS id, log_partition, max(log_offset) + 1 AS handled, count(*) AS total
         FROM unanswered WHERE answered_elsewhere AND ${key} IN (SELECT id FROM chosen) GROUP BY ALL`
  const rows =
    await query.rows(`SELECT coalesce(r.id, u.id) AS id, c.incarnation, coalesce(r.log_partition, u.log_partition) AS log_partition,
      r.next, r.applied, greatest(r.applied, u.handled) AS handled, coalesce(u.total, 0) AS unanswered, r.append_time_ms
    FROM (SELECT ${id} AS id, ${incarnation} AS incarnation, a.source_partition AS log_partition, max(${sequence}) + 1 AS next,
        max(a.source_offset) + 1 AS applied, max(a.append_time_ms) AS append_time_ms
      FROM applied a SEMI JOIN chosen c ON c.id = ${id} AND c.incarnation = ${incarnation} GROUP BY ALL) r
    FULL JOIN (${unanswered}) u ON u.id = r.id AND u.log_partition = r.log_partition
    JOIN chosen c ON c.id = coalesce(r.id, u.id)`)
  const found = new Map<string, Implied & { offsets: Map<number, { applied: number; handled: number }> }>()
  for (const row of rows) {
    const before = found.get(String(row['id']))
    const offsets = before?.offsets ?? new Map<number, { applied: number; handled: number }>()
    const [applied, handled] = [countOf(row, 'applied'), countOf(row, 'handled')]
    offsets.set(countOf(row, 'log_partition'), { applied, handled })
    found.set(String(row['id']), {
      id: String(row['id']),
      incarnation: countOf(row, 'incarnation'),
      next: Math.max(before?.next ?? 0, countOf(row, 'next')),
      appendTimeMs: Math.max(before?.appendTimeMs ?? 0, countOf(row, 'append_time_ms')),
      unanswered: (before?.unanswered ?? 0) + countOf(row, 'unanswered'),
      offsets,
    })
  }
  return [...found.values()]
}

/** Compares the features at each state's newest time: tiles against history. */
async function compareFeatures(input: StatesInput, entity: EntityPlan, still: readonly Still[]): Promise<void> {
  const { query, sql, schema, tally } = input
  if (still.length === 0) return
  const timeOf = ({ state }: Still) => state.newestTimeMs ?? 0
  const reads = still.map(
    (one, i) => `(${literal(one.implied.id)}, ${one.state.incarnation}, ${one.state.sequence}, ${timeOf(one)}, ${i})`,
  )
  await query.run(`CREATE OR REPLACE TEMP TABLE asked AS
    SELECT * FROM (VALUES ${reads.join(', ')}) r(id, incarnation, sequence, time_ms, read_id)`)
  const entries = entriesSql(input, entity)
  const relations = {
    entries: `(SELECT * REPLACE (NULL::BIGINT AS read_id) FROM (${entries}) SEMI JOIN chosen USING (id, incarnation)
      UNION ALL BY NAME SELECT *, false AS is_observed FROM asked)`,
    column: fieldColumn,
    hasFewReads: true,
  }
  const recomputed = await query.rows(sql.features(entity.name, relations))
  for (const row of recomputed) {
    const one = still[countOf(row, 'read_id')]
    if (one === undefined) continue
    const { features, flags } = readFeatures(entity, one.state, timeOf(one))
    const incomplete = new Set(flags.filter(({ flag }) => flag === 'incomplete').map(({ feature }) => feature))
    for (const [i, { name }] of entity.features.entries()) {
      if (incomplete.has(i)) continue
      tally.count('values')
      const [found, value] = [features[i] ?? null, row[name] ?? null]
      if (Object.is(found, value)) continue
      const definition = schema.manifest.features.find((feature) => feature.name === name)?.definition
      tally.violation('state_differs', () => ({
        ...{ entity: entity.name, id: one.implied.id, sequence: one.state.sequence, what: name },
        ...{ state: shown(found), implied: shown(value), definition: JSON.stringify(definition) },
      }))
    }
  }
}
