/** SQL that people read: relations made from the tables. Names here are part of the API. */

interface Relation {
  readonly name: string
  readonly sql: string
}

const place = 'log_topic, log_partition, log_offset'

/**
 * A log may hold copies of one event: a client's retry, also in another partition, or a score published again after a
 * crash. An id of a customer counts once, and of its `copies` all but one are left out: `others` says which.
 */
function oneCopy(table: string, condition: string, others = otherCopies('copies')): string {
  return `SELECT * FROM (SELECT * FROM ${table} WHERE ${condition}) ANTI JOIN (
    WITH copies AS (SELECT * FROM ${table} SEMI JOIN (
      SELECT customer_id, event_id FROM ${table} WHERE ${condition} GROUP BY ALL HAVING count(*) > 1
    ) USING (customer_id, event_id) WHERE ${condition})
    ${others}
  ) USING (${place})`
}

/** The first copy stands. */
function otherCopies(copies: string, before = ''): string {
  return `SELECT ${place} FROM ${copies}
    QUALIFY row_number() OVER (PARTITION BY customer_id, event_id ORDER BY ${before}append_time_ms, ${place}) > 1`
}

/** The copy stands that the customer's state took: it was scored. Of scores only those of copies are looked at. */
const unscoredCopies = otherCopies(
  `copies LEFT JOIN (
      SELECT DISTINCT source_topic AS log_topic, source_partition AS log_partition, source_offset AS log_offset, true AS is_scored
      FROM scores SEMI JOIN copies ON copies.log_topic = source_topic AND copies.log_partition = source_partition
        AND copies.log_offset = source_offset
    ) USING (${place})`,
  'coalesce(is_scored, false) DESC, ',
)

const payments = `CREATE VIEW payments AS
  SELECT event_id AS payment_id, event_time AS payment_time, event_time_ms AS payment_time_ms, customer_id, terminal_id,
    amount_minor, currency, source, correlation_id, causation_id, log_topic, log_partition, log_offset, append_time_ms,
    materialized_at_ms
  FROM (${oneCopy('events', "valid AND event_type = 'payment.initiated'", unscoredCopies)})`

const labelTypes = "('fraud.reported', 'fraud.withdrawn')"

/** What a label repeats of its payment: a label that says something else is of no payment. */
const repeated = 'customer_id, payment_id, terminal_id, amount_minor, currency, payment_time_ms'

/**
 * Every label that the customer's state was told, in its order. `counts` is true once for each label, and false where no
 * payment is as the label says; of those that count the newest one by its own time is the payment's label. The state remembers payments as long as windows
 * look at their labels; a chargeback comes later than that, and counts here because the lake remembers all of them.
 */
const labelEvents = `CREATE VIEW label_events AS
  WITH told AS (SELECT e.event_id AS label_id, e.payment_id, e.event_type = 'fraud.reported' AS is_fraud, e.label_kind,
    e.event_time AS reported_time, e.event_time_ms AS reported_time_ms,
    make_timestamp_ms(e.observed_time_ms) AS payment_time, e.observed_time_ms AS payment_time_ms, e.customer_id,
    e.terminal_id, e.amount_minor, e.currency, o.customer_outcome AS outcome, o.customer_sequence, e.log_topic, e.log_partition, e.log_offset, e.append_time_ms,
    e.materialized_at_ms
  FROM (SELECT * FROM events WHERE valid AND event_type IN ${labelTypes}) AS e
  JOIN (SELECT source_topic AS log_topic, source_partition AS log_partition, source_offset AS log_offset,
      any_value(customer_outcome) AS customer_outcome, any_value(customer_sequence) AS customer_sequence
    FROM observations GROUP BY ALL) AS o USING (log_topic, log_partition, log_offset)),
  forgotten AS (SELECT ${place}, true AS is_known
    FROM (SELECT * FROM told WHERE outcome = 'unknown_subject') SEMI JOIN payments USING (${repeated})
    ANTI JOIN (SELECT customer_id, label_id FROM told WHERE outcome IN ('applied', 'too_late')) USING (customer_id, label_id)
    QUALIFY row_number() OVER (PARTITION BY customer_id, label_id ORDER BY customer_sequence DESC) = 1)
  SELECT told.* EXCLUDE (outcome, customer_sequence, log_topic, log_partition, log_offset, append_time_ms, materialized_at_ms),
    outcome IN ('applied', 'too_late') OR coalesce(is_known, false) AS counts, outcome, customer_sequence, log_topic,
    log_partition, log_offset, append_time_ms, materialized_at_ms
  FROM told LEFT JOIN forgotten USING (${place})`

/** The label of each payment as far as it was reported up to a time; a payment whose report was withdrawn has none. */
function currentLabels(condition: string): string {
  return `SELECT * FROM (
    SELECT * FROM label_events WHERE counts AND ${condition}
    QUALIFY row_number() OVER (PARTITION BY customer_id, payment_id ORDER BY reported_time_ms DESC, customer_sequence DESC) = 1
  ) WHERE is_fraud`
}

const labels = `CREATE VIEW labels AS
  SELECT label_id, payment_id, label_kind, reported_time, reported_time_ms, payment_time, payment_time_ms, customer_id,
    terminal_id, amount_minor, currency, log_topic, log_partition, log_offset, append_time_ms, materialized_at_ms
  FROM (${currentLabels('true')})`

/**
 * Features as they were when the payment was scored; `label` is 1 where its label says fraud. Known means reported (the
 * report's own time): for events that were backfilled, the time they reached the log says nothing.
 */
function training(scoresWhere: string, known: string, condition = 'true'): string {
  return `SELECT s.*, (l.reported_time_ms IS NOT NULL)::BIGINT AS label, l.label_kind, l.reported_time_ms
  FROM (${oneCopy('scores', condition)}) AS s
  LEFT JOIN (
    SELECT customer_id, payment_id, reported_time_ms, label_kind FROM (${currentLabels(known)})
  ) AS l USING (customer_id, payment_id) ${scoresWhere}`
}

/**
 * The rows of `training_set` that meet a condition over columns in which copies of a score are equal; it is asked first,
 * so that a day costs no more than a day.
 */
export function trainingSlice(condition: string): string {
  return training('', 'true', condition)
}

export const derivedRelations: readonly Relation[] = [
  { name: 'payments', sql: payments },
  { name: 'label_events', sql: labelEvents },
  { name: 'labels', sql: labels },
  { name: 'training_set', sql: `CREATE VIEW training_set AS ${training('', 'true')}` },
]

/** `training_set_as_of(TIMESTAMP '2026-03-01')`: payments and reports up to that time (UTC), nothing later. */
export const derivedTableFunctions: readonly Relation[] = [
  {
    name: 'training_set_as_of',
    sql: `CREATE MACRO training_set_as_of(cutoff) AS TABLE ${training(
      'WHERE s.payment_time <= cutoff',
      'reported_time <= cutoff',
    )}`,
  },
]
