/** SQL that people read: relations made from the tables. Names here are part of the API. */

interface Relation {
  readonly name: string
  readonly sql: string
}

/**
 * A log may hold copies of one event (a client's retry, a score published again after a crash). The first copy stands;
 * copies share customer and id, and so their partition.
 */
function firstCopies(table: string, condition: string): string {
  return `SELECT * FROM ${table} SEMI JOIN (
    SELECT log_topic, log_partition, min(log_offset) AS log_offset
    FROM ${table} WHERE ${condition} GROUP BY log_topic, log_partition, customer_id, event_id
  ) USING (log_topic, log_partition, log_offset)`
}

const payments = `CREATE VIEW payments AS
  SELECT event_id AS payment_id, event_time AS payment_time, event_time_ms AS payment_time_ms, customer_id, terminal_id,
    amount_minor, currency, source, correlation_id, causation_id, log_topic, log_partition, log_offset, append_time_ms,
    materialized_at_ms
  FROM (${firstCopies('events', "valid AND event_type = 'payment.initiated'")})`

const labels = `CREATE VIEW labels AS
  SELECT event_id AS label_id, payment_id, label_kind, event_time AS reported_time, event_time_ms AS reported_time_ms,
    make_timestamp_ms(observed_time_ms) AS payment_time, observed_time_ms AS payment_time_ms, customer_id, terminal_id,
    amount_minor, currency, log_topic, log_partition, log_offset, append_time_ms, materialized_at_ms
  FROM (${firstCopies('events', "valid AND event_type = 'fraud.reported'")})`

/**
 * Features as they were when the payment was scored; `label` is 1 where a report of fraud was known. Known means
 * reported (the report's own time): for events that were backfilled, the time they reached the log says nothing.
 */
function training(scoresWhere: string, labelsWhere: string, condition = 'true'): string {
  return `SELECT s.*, (l.reported_time_ms IS NOT NULL)::BIGINT AS label, l.label_kind, l.reported_time_ms
  FROM (${firstCopies('scores', condition)}) AS s
  LEFT JOIN (
    SELECT customer_id, payment_id, min(reported_time_ms) AS reported_time_ms,
      arg_min(label_kind, reported_time_ms) AS label_kind
    FROM labels ${labelsWhere} GROUP BY customer_id, payment_id
  ) AS l USING (customer_id, payment_id) ${scoresWhere}`
}

/**
 * The rows of `training_set` that meet a condition over columns in which copies of a score are equal; it is asked first,
 * so that a day costs no more than a day.
 */
export function trainingSlice(condition: string): string {
  return training('', '', condition)
}

export const derivedRelations: readonly Relation[] = [
  { name: 'payments', sql: payments },
  { name: 'labels', sql: labels },
  { name: 'training_set', sql: `CREATE VIEW training_set AS ${training('', '')}` },
]

/** `training_set_as_of(TIMESTAMP '2026-03-01')`: payments and reports up to that time (UTC), nothing later. */
export const derivedTableFunctions: readonly Relation[] = [
  {
    name: 'training_set_as_of',
    sql: `CREATE MACRO training_set_as_of(cutoff) AS TABLE ${training(
      'WHERE s.payment_time <= cutoff',
      'WHERE reported_time <= cutoff',
    )}`,
  },
]
