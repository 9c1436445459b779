import { identifier, literal } from '../../base/sql.ts'
import type { EventView, LabelColumns, LakeSchema, ScoredColumns } from './lake-schema.ts'
import { foreignColumns } from './own-columns.ts'
import { isOfType } from './scored-sql.ts'

/** SQL that people read: relations made from the tables. Names here are part of the API. */

interface Relation {
  readonly name: string
  readonly sql: string
}

const place = 'log_topic, log_partition, log_offset'
const envelope = `source, correlation_id, causation_id, ${place}, append_time_ms, materialized_at_ms`

/**
 * A log may hold copies of one event: a client's retry, also in another partition, or a score published again after a
 * crash. An id of an aggregate counts once: `others` selects the `copies` that are left out.
 */
function oneCopy(owner: string, table: string, condition: string, others = otherCopies(owner, 'copies')): string {
  return `SELECT * FROM (SELECT * FROM ${table} WHERE ${condition}) ANTI JOIN (
    WITH copies AS (SELECT * FROM ${table} SEMI JOIN (
      SELECT ${owner}, event_id FROM ${table} WHERE ${condition} GROUP BY ALL HAVING count(*) > 1
    ) USING (${owner}, event_id) WHERE ${condition})
    ${others}
  ) USING (${place})`
}

/** Keeps the first copy. */
function otherCopies(owner: string, copies: string, before = ''): string {
  return `SELECT ${place} FROM ${copies}
    QUALIFY row_number() OVER (PARTITION BY ${owner}, event_id ORDER BY ${before}append_time_ms, ${place}) > 1`
}

/** Keeps the copy that the aggregate's state applied: it was scored. Reads only the scores of copies. */
function unscoredCopies(owner: string): string {
  return otherCopies(
    owner,
    `copies LEFT JOIN (
      SELECT DISTINCT source_topic AS log_topic, source_partition AS log_partition, source_offset AS log_offset, true AS is_scored
      FROM scores SEMI JOIN copies ON copies.log_topic = source_topic AND copies.log_partition = source_partition
        AND copies.log_offset = source_offset
    ) USING (${place})`,
    'coalesce(is_scored, false) DESC, ',
  )
}

/** The events of one type, each once, with its data. */
function eventView(schema: LakeSchema, { name, type, timestampField, scored, columns }: EventView): string {
  const owner = identifier(schema.owner)
  const isOwnTime = timestampField === 'time'
  const observed = isOwnTime ? 'event_time' : 'make_timestamp_ms(observed_time_ms)'
  const observedMs = isOwnTime ? 'event_time_ms' : 'observed_time_ms'
  const head =
    scored === null
      ? ['event_id', 'event_time', 'event_time_ms', ...(isOwnTime ? [] : ['observed_time_ms'])]
      : [
          `event_id AS ${identifier(scored.id)}`,
          `${observed} AS ${identifier(scored.time)}`,
          `${observedMs} AS ${identifier(scored.timeMs)}`,
        ]
  const condition = `valid AND event_type = ${literal(type)}`
  const copies =
    scored === null ? oneCopy(owner, 'events', condition) : oneCopy(owner, 'events', condition, unscoredCopies(owner))
  return `CREATE VIEW ${identifier(name)} AS
  SELECT ${[...head, ...columns.map(identifier)].join(', ')}, ${envelope}
  FROM (${copies})`
}

/** A column of a label `e` that label types name differently. */
function byLabel(labels: readonly LabelColumns[], columnOf: (label: LabelColumns) => string): string {
  const [first] = labels
  if (first === undefined) return 'NULL::VARCHAR'
  const same = labels.every((label) => columnOf(label) === columnOf(first))
  if (same) return `e.${identifier(columnOf(first))}`
  const cases = labels.map((label) => `WHEN ${literal(label.type)} THEN e.${identifier(columnOf(label))}`)
  return `CASE e.event_type ${cases.join(' ')} END`
}

/**
 * What labels repeat of their subject, by its names, its aggregate first. Labels of one type repeat the same fields.
 */
function repeatedBy(owner: string, { labels }: ScoredColumns): string[] {
  return [...new Set([owner, ...(labels[0]?.repeats ?? []).map(({ subject }) => subject)])]
}

const typesIn = (labels: readonly LabelColumns[]) =>
  labels.length === 0 ? 'false' : `event_type IN (${labels.map(({ type }) => literal(type)).join(', ')})`

/**
 * Every label that the aggregate's state applied, in its order. `counts` is true once for each label, and false where
 * no subject is as the label says; of those that count, the newest by its own time is the subject's label. The state
 * remembers subjects as long as windows read their labels; the lake remembers all, so a later label counts here.
 */
function labelEvents(schema: LakeSchema, scored: ScoredColumns): string {
  const { key } = schema
  const { labels, relations, plural } = scored
  const [owner, id] = [identifier(schema.owner), identifier(scored.id)]
  const [time, timeMs] = [identifier(scored.time), identifier(scored.timeMs)]
  const [outcome, sequence] = ['outcome', 'sequence'].map((part) => identifier(`${key.name}_${part}`))
  const repeated = repeatedBy(schema.owner, scored)
  const said = repeated.map((subject) => {
    const own = (label: LabelColumns) => label.repeats.find((one) => one.subject === subject)?.own ?? subject
    return `${subject === schema.owner ? `e.${owner}` : byLabel(labels, own)} AS ${identifier(subject)}`
  })
  const isSame = [...repeated.map(identifier), id, timeMs].map(
    (column) => `t.${column} IS NOT DISTINCT FROM s.${column}`,
  )
  const columns = [
    ...['label_id', id, 'is_report', 'label_kind', 'reported_time', 'reported_time_ms', time, timeMs],
    ...repeated.map(identifier),
  ].map((column) => `told.${column}`)
  return `CREATE VIEW ${identifier(relations.labelEvents)} AS
  WITH told AS (SELECT e.event_id AS label_id, ${byLabel(labels, ({ subject }) => subject)} AS ${id},
    ${typesIn(labels.filter(({ withdraws }) => !withdraws))} AS is_report, e.label_kind,
    e.event_time AS reported_time, e.event_time_ms AS reported_time_ms,
    make_timestamp_ms(e.observed_time_ms) AS ${time}, e.observed_time_ms AS ${timeMs}, ${said.join(', ')},
    o.outcome, o.${sequence}, e.log_topic, e.log_partition, e.log_offset, e.append_time_ms, e.materialized_at_ms
  FROM (SELECT * FROM events WHERE valid AND ${typesIn(labels)}) AS e
  JOIN (SELECT source_topic AS log_topic, source_partition AS log_partition, source_offset AS log_offset,
      any_value(${outcome}) AS outcome, any_value(${sequence}) AS ${sequence}
    FROM observations GROUP BY ALL) AS o USING (log_topic, log_partition, log_offset)),
  forgotten AS (SELECT ${place}, true AS is_known
    FROM (SELECT * FROM told WHERE outcome = 'unknown_subject') AS t
    SEMI JOIN ${identifier(plural)} AS s ON ${isSame.join(' AND ')}
    ANTI JOIN (SELECT ${owner}, label_id FROM told WHERE outcome IN ('applied', 'too_late')) AS o
      ON o.${owner} = t.${owner} AND o.label_id = t.label_id
    QUALIFY row_number() OVER (PARTITION BY ${owner}, label_id ORDER BY ${sequence} DESC) = 1)
  SELECT ${columns.join(', ')},
    outcome IN ('applied', 'too_late') OR coalesce(is_known, false) AS counts, outcome, ${sequence}, log_topic,
    log_partition, log_offset, append_time_ms, materialized_at_ms
  FROM told LEFT JOIN forgotten USING (${place})`
}

/** The label of each subject as reported up to a time; a withdrawn report leaves none. */
function currentLabels({ owner, key }: LakeSchema, { id, relations }: ScoredColumns, condition: string): string {
  const [aggregate, subject, sequence] = [owner, id, `${key.name}_sequence`].map(identifier)
  return `SELECT * FROM (
    SELECT * FROM ${identifier(relations.labelEvents)} WHERE counts AND ${condition}
    QUALIFY row_number() OVER (PARTITION BY ${aggregate}, ${subject} ORDER BY reported_time_ms DESC, ${sequence} DESC) = 1
  ) WHERE is_report`
}

function labels(schema: LakeSchema, scored: ScoredColumns): string {
  const { id, time, timeMs, relations } = scored
  const ofSubject = [time, timeMs, ...repeatedBy(schema.owner, scored)].map(identifier)
  return `CREATE VIEW ${identifier(relations.labels)} AS
  SELECT label_id, ${identifier(id)}, label_kind, reported_time, reported_time_ms, ${ofSubject.join(', ')},
    ${place}, append_time_ms, materialized_at_ms
  FROM (${currentLabels(schema, scored, 'true')})`
}

interface TrainingRows {
  /** Which scores, by columns in which copies of a score are equal. */
  readonly condition?: string
  /** Which labels to join. */
  readonly known?: string
  /** Which rows to keep. */
  readonly rest?: string
}

/**
 * The point-in-time join: features as they were when the event was scored; `label` is 1 where its label reports it. A
 * label is known from the report's own time on, because backfilled events reach the log at any time.
 */
function training(
  schema: LakeSchema,
  scored: ScoredColumns,
  { condition = 'true', known = 'true', rest = '' }: TrainingRows,
): string {
  const owner = identifier(schema.owner)
  const id = identifier(scored.id)
  const foreign = foreignColumns(schema, scored).map(identifier)
  const all = foreign.length === 0 ? 's.*' : `s.* EXCLUDE (${foreign.join(', ')})`
  return `SELECT ${all}, (l.reported_time_ms IS NOT NULL)::BIGINT AS label, l.label_kind, l.reported_time_ms
  FROM (${oneCopy(owner, 'scores', `${isOfType(schema, scored)} AND ${condition}`)}) AS s
  LEFT JOIN (
    SELECT ${owner}, ${id}, reported_time_ms, label_kind FROM (${currentLabels(schema, scored, known)})
  ) AS l USING (${owner}, ${id}) ${rest}`
}

/**
 * The rows of a training set that meet a condition over columns in which copies of a score are equal; it filters first,
 * so that a day costs no more than a day.
 */
export function trainingSlice(schema: LakeSchema, scored: ScoredColumns, condition: string): string {
  return training(schema, scored, { condition })
}

/** Scores of a type whose event was observed within these milliseconds, `to` left out. */
export function observedWithin(
  schema: LakeSchema,
  scored: ScoredColumns,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): string {
  const timeMs = identifier(scored.timeMs)
  return `${isOfType(schema, scored)} AND ${timeMs} >= ${fromMs} AND ${timeMs} < ${toMs}`
}

/** SQL of an event's worth, 0 where its type has none. */
export function worthSql({ worth }: ScoredColumns): string {
  return worth === null ? '0' : identifier(worth)
}

export function derivedRelations(schema: LakeSchema): readonly Relation[] {
  const views = schema.views.map((view) => ({ name: view.name, sql: eventView(schema, view) }))
  const ofScored = schema.scored.flatMap((scored) => {
    const { labelEvents: events, labels: current, trainingSet } = scored.relations
    return [
      { name: events, sql: labelEvents(schema, scored) },
      { name: current, sql: labels(schema, scored) },
      { name: trainingSet, sql: `CREATE VIEW ${identifier(trainingSet)} AS ${training(schema, scored, {})}` },
    ]
  })
  return [...views, ...ofScored]
}

/** `training_set_as_of(TIMESTAMP '2026-03-01')`: events and reports up to that time (UTC), nothing later. */
export function derivedTableFunctions(schema: LakeSchema): readonly Relation[] {
  return schema.scored.map((scored) => {
    const name = scored.relations.trainingSetAsOf
    const rest = `WHERE s.${identifier(scored.time)} <= cutoff`
    const rows = training(schema, scored, { known: 'reported_time <= cutoff', rest })
    return { name, sql: `CREATE MACRO ${identifier(name)}(cutoff) AS TABLE ${rows}` }
  })
}
