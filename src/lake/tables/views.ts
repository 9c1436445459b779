import { identifier, literal } from '../../base/sql.ts'
import type { EventView, LabelColumns, LakeSchema } from './lake-schema.ts'

/** SQL that people read: relations made from the tables. Names here are part of the API. */

interface Relation {
  readonly name: string
  readonly sql: string
}

const place = 'log_topic, log_partition, log_offset'
const envelope = `source, correlation_id, causation_id, ${place}, append_time_ms, materialized_at_ms`

/**
 * A log may hold copies of one event: a client's retry, also in another partition, or a score published again after a
 * crash. An id of an aggregate counts once, and of its `copies` all but one are left out: `others` says which.
 */
function oneCopy(owner: string, table: string, condition: string, others = otherCopies(owner, 'copies')): string {
  return `SELECT * FROM (SELECT * FROM ${table} WHERE ${condition}) ANTI JOIN (
    WITH copies AS (SELECT * FROM ${table} SEMI JOIN (
      SELECT ${owner}, event_id FROM ${table} WHERE ${condition} GROUP BY ALL HAVING count(*) > 1
    ) USING (${owner}, event_id) WHERE ${condition})
    ${others}
  ) USING (${place})`
}

/** The first copy stands. */
function otherCopies(owner: string, copies: string, before = ''): string {
  return `SELECT ${place} FROM ${copies}
    QUALIFY row_number() OVER (PARTITION BY ${owner}, event_id ORDER BY ${before}append_time_ms, ${place}) > 1`
}

/** The copy stands that the aggregate's state took: it was scored. Of scores only those of copies are looked at. */
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
function eventView(schema: LakeSchema, { name, type, timestampField, isScored, columns }: EventView): string {
  const owner = identifier(schema.owner)
  const { id, time, timeMs } = schema.scored
  const isOwnTime = timestampField === 'time'
  const observed = isOwnTime ? 'event_time' : 'make_timestamp_ms(observed_time_ms)'
  const observedMs = isOwnTime ? 'event_time_ms' : 'observed_time_ms'
  const head = isScored
    ? [`event_id AS ${identifier(id)}`, `${observed} AS ${identifier(time)}`, `${observedMs} AS ${identifier(timeMs)}`]
    : ['event_id', 'event_time', 'event_time_ms', ...(isOwnTime ? [] : ['observed_time_ms'])]
  const condition = `valid AND event_type = ${literal(type)}`
  const copies = isScored
    ? oneCopy(owner, 'events', condition, unscoredCopies(owner))
    : oneCopy(owner, 'events', condition)
  return `CREATE VIEW ${identifier(name)} AS
  SELECT ${[...head, ...columns.map(identifier)].join(', ')}, ${envelope}
  FROM (${copies})`
}

/** Of a label `e`, what one type of labels calls otherwise than another. */
function byLabel(labels: readonly LabelColumns[], columnOf: (label: LabelColumns) => string): string {
  const [first] = labels
  if (first === undefined) return 'NULL::VARCHAR'
  const same = labels.every((label) => columnOf(label) === columnOf(first))
  if (same) return `e.${identifier(columnOf(first))}`
  const cases = labels.map((label) => `WHEN ${literal(label.type)} THEN e.${identifier(columnOf(label))}`)
  return `CASE e.event_type ${cases.join(' ')} END`
}

/** What labels repeat of their subject, by the subject's names: its aggregate first. A feature set's labels all repeat the same. */
function repeatedBy({ labels, owner }: LakeSchema): string[] {
  return [...new Set([owner, ...(labels[0]?.repeats ?? []).map(({ subject }) => subject)])]
}

const typesIn = (labels: readonly LabelColumns[]) =>
  labels.length === 0 ? 'false' : `event_type IN (${labels.map(({ type }) => literal(type)).join(', ')})`

/**
 * Every label that the aggregate's state was told, in its order. `counts` is true once for each label, and false where no
 * subject is as the label says; of those that count the newest one by its own time is the subject's label. The state remembers subjects as long as windows
 * look at their labels; a label may come later than that, and counts here because the lake remembers all of them.
 */
function labelEvents(schema: LakeSchema): string {
  const { labels, scored, key } = schema
  const [owner, id] = [identifier(schema.owner), identifier(scored.id)]
  const [time, timeMs] = [identifier(scored.time), identifier(scored.timeMs)]
  const [outcome, sequence] = ['outcome', 'sequence'].map((part) => identifier(`${key.name}_${part}`))
  const repeated = repeatedBy(schema)
  const said = repeated.map((subject) => {
    const own = (label: LabelColumns) => label.repeats.find((one) => one.subject === subject)?.own ?? subject
    return `${subject === schema.owner ? `e.${owner}` : byLabel(labels, own)} AS ${identifier(subject)}`
  })
  const isSame = [...repeated.map(identifier), id, timeMs].map(
    (column) => `t.${column} IS NOT DISTINCT FROM s.${column}`,
  )
  const columns = [
    ...['label_id', id, 'is_fraud', 'label_kind', 'reported_time', 'reported_time_ms', time, timeMs],
    ...repeated.map(identifier),
  ].map((column) => `told.${column}`)
  const subjects = schema.views.find(({ isScored }) => isScored)?.name ?? scored.plural
  return `CREATE VIEW label_events AS
  WITH told AS (SELECT e.event_id AS label_id, ${byLabel(labels, ({ subject }) => subject)} AS ${id},
    ${typesIn(labels.filter(({ withdraws }) => !withdraws))} AS is_fraud, e.label_kind,
    e.event_time AS reported_time, e.event_time_ms AS reported_time_ms,
    make_timestamp_ms(e.observed_time_ms) AS ${time}, e.observed_time_ms AS ${timeMs}, ${said.join(', ')},
    o.outcome, o.${sequence}, e.log_topic, e.log_partition, e.log_offset, e.append_time_ms, e.materialized_at_ms
  FROM (SELECT * FROM events WHERE valid AND ${typesIn(labels)}) AS e
  JOIN (SELECT source_topic AS log_topic, source_partition AS log_partition, source_offset AS log_offset,
      any_value(${outcome}) AS outcome, any_value(${sequence}) AS ${sequence}
    FROM observations GROUP BY ALL) AS o USING (log_topic, log_partition, log_offset)),
  forgotten AS (SELECT ${place}, true AS is_known
    FROM (SELECT * FROM told WHERE outcome = 'unknown_subject') AS t
    SEMI JOIN ${identifier(subjects)} AS s ON ${isSame.join(' AND ')}
    ANTI JOIN (SELECT ${owner}, label_id FROM told WHERE outcome IN ('applied', 'too_late')) AS o
      ON o.${owner} = t.${owner} AND o.label_id = t.label_id
    QUALIFY row_number() OVER (PARTITION BY ${owner}, label_id ORDER BY ${sequence} DESC) = 1)
  SELECT ${columns.join(', ')},
    outcome IN ('applied', 'too_late') OR coalesce(is_known, false) AS counts, outcome, ${sequence}, log_topic,
    log_partition, log_offset, append_time_ms, materialized_at_ms
  FROM told LEFT JOIN forgotten USING (${place})`
}

/** The label of each subject as far as it was reported up to a time; one whose report was withdrawn has none. */
function currentLabels({ owner, scored, key }: LakeSchema, condition: string): string {
  const [aggregate, id, sequence] = [owner, scored.id, `${key.name}_sequence`].map(identifier)
  return `SELECT * FROM (
    SELECT * FROM label_events WHERE counts AND ${condition}
    QUALIFY row_number() OVER (PARTITION BY ${aggregate}, ${id} ORDER BY reported_time_ms DESC, ${sequence} DESC) = 1
  ) WHERE is_fraud`
}

function labels(schema: LakeSchema): string {
  const { id, time, timeMs } = schema.scored
  const ofSubject = [time, timeMs, ...repeatedBy(schema)].map(identifier)
  return `CREATE VIEW labels AS
  SELECT label_id, ${identifier(id)}, label_kind, reported_time, reported_time_ms, ${ofSubject.join(', ')},
    ${place}, append_time_ms, materialized_at_ms
  FROM (${currentLabels(schema, 'true')})`
}

/**
 * Features as they were when the event was scored; `label` is 1 where its label says fraud. Known means reported (the
 * report's own time): for events that were backfilled, the time they reached the log says nothing.
 */
function training(schema: LakeSchema, scoresWhere: string, known: string, condition = 'true'): string {
  const owner = identifier(schema.owner)
  const id = identifier(schema.scored.id)
  return `SELECT s.*, (l.reported_time_ms IS NOT NULL)::BIGINT AS label, l.label_kind, l.reported_time_ms
  FROM (${oneCopy(owner, 'scores', condition)}) AS s
  LEFT JOIN (
    SELECT ${owner}, ${id}, reported_time_ms, label_kind FROM (${currentLabels(schema, known)})
  ) AS l USING (${owner}, ${id}) ${scoresWhere}`
}

/**
 * The rows of `training_set` that meet a condition over columns in which copies of a score are equal; it is asked first,
 * so that a day costs no more than a day.
 */
export function trainingSlice(schema: LakeSchema, condition: string): string {
  return training(schema, '', 'true', condition)
}

/** Of milliseconds, `to` left out: scores whose event was observed then. */
export function observedWithin({ scored }: LakeSchema, { fromMs, toMs }: { fromMs: number; toMs: number }): string {
  const timeMs = identifier(scored.timeMs)
  return `${timeMs} >= ${fromMs} AND ${timeMs} < ${toMs}`
}

/** What an event is worth, 0 where its type does not say. */
export function worthSql({ scored }: LakeSchema): string {
  return scored.worth === null ? '0' : identifier(scored.worth)
}

export function derivedRelations(schema: LakeSchema): readonly Relation[] {
  return [
    ...schema.views.map((view) => ({ name: view.name, sql: eventView(schema, view) })),
    { name: 'label_events', sql: labelEvents(schema) },
    { name: 'labels', sql: labels(schema) },
    { name: 'training_set', sql: `CREATE VIEW training_set AS ${training(schema, '', 'true')}` },
  ]
}

/** `training_set_as_of(TIMESTAMP '2026-03-01')`: events and reports up to that time (UTC), nothing later. */
export function derivedTableFunctions(schema: LakeSchema): readonly Relation[] {
  const { time } = schema.scored
  return [
    {
      name: 'training_set_as_of',
      sql: `CREATE MACRO training_set_as_of(cutoff) AS TABLE ${training(
        schema,
        `WHERE s.${identifier(time)} <= cutoff`,
        'reported_time <= cutoff',
      )}`,
    },
  ]
}
