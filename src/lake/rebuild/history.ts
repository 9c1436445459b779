import { fieldsOfSlot } from '../../engine/states.ts'
import { identifier, literal } from '../../base/sql.ts'
import { RiverbankError } from '../../base/errors.ts'
import type { EntityPlan, EntityBinding, FeaturePlan } from '../../engine/plan.ts'
import { beyond, nothing, rowsOf, unnumbered, verdicts, type HistoryRow } from './history-row.ts'
import { readWaitingRecords, type WaitingRecords } from './waiting-records.ts'
import type { LakeSchema, FieldColumn } from '../tables/lake-schema.ts'
import type { Topics } from '../verify/watermark.ts'
import { countOf, type LakeQuery } from '../verify/lake-query.ts'
import { createWorkingTables, entityIdSql } from '../verify/working-tables.ts'

/** How far one partition of the event topic is: committed by the processors, and answered in the lake. */
export interface Reach {
  readonly partition: number
  readonly committed: number
  /** Every event below was applied and published, or has a row here. */
  readonly next: number
}

/** Ids read together. */
const idsAtOnce = 500
/** The largest batch that can be configured. */
const batchRecordsMax = 10_000

/** Which rows to read: one chunk of the ids, and whether only those that {@link Asked} names. */
export interface Share {
  readonly chunk: number
  readonly chunks: number
  readonly asked?: boolean
}

/** Asks for the rows of an id below a sequence number; each row carries `text` back. */
export interface Asked {
  readonly id: string
  readonly below: number
  readonly text: string
}

export interface HistoryOptions {
  readonly query: LakeQuery
  readonly plan: FeaturePlan
  readonly schema: LakeSchema
  readonly topics: Topics
  readonly committed: ReadonlyMap<number, number>
  /**
   * Runs a read of the lake's files; rejects with `lake_corrupt` unless their bytes are those of the manifest, and with
   * `lake_lost` where rows were declared lost.
   */
  readonly fromWhole: <Result>(read: () => Promise<Result>) => Promise<Result>
  /** The materializer runs on: answers that reached the lake before their events are left out. */
  readonly isLive?: boolean
}

const answersAhead = `DELETE FROM applied WHERE cause_valid IS NULL AND source_offset >
  coalesce((SELECT max(log_offset) FROM caused WHERE caused.log_partition = applied.source_partition), -1)`
/** Reads each entity's events from the lake, in the order of its sequence numbers. */
export class LakeHistory {
  private readonly options: HistoryOptions
  private readonly waiting: WaitingRecords

  private constructor(options: HistoryOptions, waiting: WaitingRecords) {
    this.options = options
    this.waiting = waiting
  }

  /**
   * Copies what states are made of into tables of the database, and reads the files no more, so that no state is made
   * of a damaged one. Errors: `lake_corrupt`, `lake_lost`, and `lake_incomplete` where the lake has an answer without
   * its event.
   */
  static async open(options: HistoryOptions): Promise<LakeHistory> {
    const { query, schema, topics, committed } = options
    const watermark = { kind: 'committed', next: committed, settled: true } as const
    const waiting = await options.fromWhole(async () => {
      await createWorkingTables(query, {
        schema,
        topics,
        watermark,
        hasDoubles: false,
        fields: allFields(options.plan),
      })
      return readWaitingRecords(options)
    })
    if (options.isLive === true) await query.run(answersAhead)
    const [missing] = await query.rows('SELECT count(*) AS total FROM applied WHERE cause_valid IS NULL')
    const total = countOf(missing, 'total')
    if (total === 0) return new LakeHistory(options, waiting)
    throw new RiverbankError('lake_incomplete', `the lake has ${total} answers to events that it does not have`)
  }

  /** One entry per partition in which anything was answered or committed. */
  async reach(): Promise<readonly Reach[]> {
    const { query, committed } = this.options
    const rows = await query.rows(
      'SELECT source_partition, max(source_offset) + 1 AS next FROM applied GROUP BY 1 ORDER BY 1',
    )
    const answered = new Map(rows.map((row) => [countOf(row, 'source_partition'), countOf(row, 'next')]))
    const partitions = [...new Set([...answered.keys(), ...committed.keys()])].sort((a, b) => a - b)
    return partitions.map((partition) => {
      const known = committed.get(partition) ?? 0
      return { partition, committed: known, next: Math.max(known, answered.get(partition) ?? 0) }
    })
  }

  /** Counts uncommitted answers that this feature set would give in other bytes. */
  async foreign(reach: readonly Reach[]): Promise<number> {
    const { query } = this.options
    if (reach.length === 0) return 0
    const known = reach.map(({ partition, committed }) => `(${partition}, ${committed})`).join(', ')
    const [counted] = await query.rows(
      `SELECT count(*) AS total FROM applied
       JOIN (VALUES ${known}) AS c(log_partition, committed) ON c.log_partition = source_partition
       WHERE source_offset >= c.committed AND NOT is_ours`,
    )
    return countOf(counted, 'total')
  }

  /** Leaves out events at or above this reach from now on. */
  async limit(reach: readonly Reach[]): Promise<void> {
    const { query } = this.options
    await query.run('CREATE OR REPLACE TEMP TABLE reach (log_partition BIGINT, next_offset BIGINT)')
    const rows = reach.map(({ partition, next }) => `(${partition}, ${next})`)
    if (rows.length > 0) await query.run(`INSERT INTO reach VALUES ${rows.join(', ')}`)
  }

  async rows(entity: EntityPlan): Promise<number> {
    const column = identifier(`${entity.name}_sequence`)
    const [counted] = await this.options.query.rows(`SELECT count(*) AS total FROM applied WHERE ${column} IS NOT NULL`)
    return countOf(counted, 'total')
  }

  /** Every id of a share, some hundreds at a time, with the time when the log took its newest event. */
  async ids(
    { name }: EntityPlan,
    { chunk, chunks }: Share,
    take: (ids: readonly { readonly id: string; readonly appendTimeMs: number }[]) => Promise<void>,
  ): Promise<void> {
    const id = identifier(`${name}_id`)
    // All in memory, so that the connection is free for the caller's queries.
    const rows = await this.options.query.rows(
      `SELECT ${id} AS id, max(append_time_ms) AS appended FROM applied
       WHERE ${id} IS NOT NULL AND hash(${id}) % ${chunks} = ${chunk} GROUP BY 1 ORDER BY 1`,
    )
    for (let at = 0; at < rows.length; at += idsAtOnce) {
      const some = rows.slice(at, at + idsAtOnce)
      await take(some.map((row) => ({ id: String(row['id']), appendTimeMs: countOf(row, 'appended') })))
    }
  }

  /** Sets what shares with `asked` read from now on. */
  async ask(asked: readonly Asked[]): Promise<void> {
    const { query } = this.options
    await query.run('CREATE OR REPLACE TEMP TABLE asked (id VARCHAR, below BIGINT, told VARCHAR)')
    for (let at = 0; at < asked.length; at += idsAtOnce) {
      const values = asked
        .slice(at, at + idsAtOnce)
        .map((one) => `(${literal(one.id)}, ${one.below}, ${literal(one.text)})`)
      await query.run(`INSERT INTO asked VALUES ${values.join(', ')}`)
    }
  }

  /** The rows of one share of an entity's ids: by id, those without a sequence number first. */
  async each(
    entity: EntityPlan,
    share: Share,
    take: (rows: Iterable<HistoryRow>) => void | Promise<void>,
  ): Promise<void> {
    const { plan, schema, query } = this.options
    const types = [...plan.events.keys()]
    const index = plan.entities.indexOf(entity)
    const bindings = types.map((type) => plan.events.get(type)?.bindings[index] ?? nothing)
    const scored = new Set(schema.scored.map(({ form }) => types.indexOf(form.eventType)))
    const fields = fieldsOf(entity, bindings).map((field) => columnOf(schema, field))
    await query.columns(this.sql(entity, types, fields, share), (columns, rows) =>
      take(rowsOf(columns, rows, { bindings, scored, fields, waiting: this.waiting })),
    )
  }

  private sql(
    entity: EntityPlan,
    types: readonly string[],
    fields: readonly FieldColumn[],
    { chunk, chunks, asked = false }: Share,
  ): string {
    const own = (part: string) => `t.${identifier(`${entity.name}_${part}`)}`
    const type = `coalesce(list_position([${types.map(literal).join(', ')}], t.event_type) - 1, -1)::DOUBLE`
    const eventId = entity.partitionKey ? 't.event_id' : "''"
    const shared = (partition: string, offset: string, prefix: string) => [
      ...[`${partition}::DOUBLE AS partition`, `${offset}::DOUBLE AS position`, 't.append_time_ms::DOUBLE AS appended'],
      ...[
        `t.observed_time_ms::DOUBLE AS observed`,
        `t.event_time_ms::DOUBLE AS event_time`,
        `${type} AS type`,
        `${eventId} AS event_id`,
      ],
      ...fields.map((column) => `${fieldSql(column, prefix)} AS ${identifier(`field_${column.field}`)}`),
    ]
    const numbered = [
      `${own('id')} AS id`,
      `${own('sequence')}::DOUBLE AS sequence`,
      `${own('incarnation')}::DOUBLE AS incarnation`,
    ]
    const key = entityIdSql(this.options.schema, entity, (column) => `t.${identifier(column)}`)
    const within = (partition: string, offset: string) =>
      `JOIN reach r ON r.log_partition = ${partition} AND ${offset} < r.next_offset`
    const number = `if(t.log_offset < r.next_offset, ${unnumbered}, ${beyond})::DOUBLE`
    const unanswered = `SELECT ${key} AS id, ${number} AS sequence, 0::DOUBLE AS incarnation,
        (t.answered_elsewhere OR NOT t.ahead)::INTEGER::DOUBLE AS verdict,
        ${shared('t.log_partition', 't.log_offset', 't.').join(', ')}
      FROM unanswered t ${within('t.log_partition', `t.log_offset - ${batchRecordsMax}`)} WHERE ${key} IS NOT NULL`
    return `SELECT id, sequence, incarnation, verdict, partition, position, appended, observed, event_time, type, event_id
        ${fields.map(({ field }) => `, ${identifier(`field_${field}`)}`).join('')} ${asked ? ', told' : ''} FROM (
      SELECT ${numbered.join(', ')}, ${verdictSql(own('outcome'))} AS verdict,
        ${shared('t.source_partition', 't.source_offset', 't.cause_').join(', ')}
      FROM applied t ${within('t.source_partition', 't.source_offset')} WHERE ${own('sequence')} IS NOT NULL
      ${key === null || asked ? '' : `UNION ALL ${unanswered}`}
    ) ${asked ? 'JOIN (SELECT id, below, told FROM asked) USING (id)' : ''}
      WHERE ${asked ? 'sequence < below AND' : ''} hash(id) % ${chunks} = ${chunk} ORDER BY id, greatest(sequence, ${unnumbered}), appended, position`
  }
}

function verdictSql(outcome: string): string {
  return `coalesce(list_position([${verdicts.map((verdict) => literal(verdict ?? '')).join(', ')}], ${outcome}) - 1, 0)::DOUBLE`
}

/** Fields that the engine reads: values and conditions of slots, and what decides whether a label counts. */
function fieldsOf({ groups, partitionKey }: EntityPlan, bindings: readonly EntityBinding[]): string[] {
  const slots = groups.flatMap(({ slots }) => slots.flatMap(({ id }) => fieldsOfSlot(id)))
  const named = bindings.flatMap(({ label, subject }) => [
    ...(label === null ? [] : [label.subjectField, ...label.ownerFields, ...(partitionKey ? label.fields : [])]),
    ...(subject === null || !partitionKey ? [] : subject.fields),
  ])
  return [...new Set([...slots, ...named.filter((field) => field !== null)])]
}

function allFields({ entities, events }: FeaturePlan): string[] {
  return entities.flatMap((entity, index) => {
    const bindings = [...events.values()].map(({ bindings }) => bindings[index] ?? nothing)
    return fieldsOf(entity, bindings)
  })
}

function columnOf({ fields }: LakeSchema, field: string): FieldColumn {
  const column = fields.get(field)
  if (column === undefined) {
    throw new RiverbankError('query_failed', `the table of events has no column for the field ${field}`)
  }
  return column
}

/** Numbers as DOUBLE, which holds every integer that an event may carry; the engine sees them as the processor did. */
function fieldSql({ name, type }: FieldColumn, prefix: string): string {
  const column = `${prefix.slice(0, 2)}${identifier(`${prefix.slice(2)}${name}`)}`
  return type === 'VARCHAR' ? column : `${column}${type === 'BOOLEAN' ? '::INTEGER' : ''}::DOUBLE`
}
