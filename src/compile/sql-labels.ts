import { subjectsMax } from '../engine/limits.ts'
import { literal } from '../base/sql.ts'
import { hourMs } from '../base/units.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import type { View } from '../define/view.ts'
import { idPartSql, idSeparator } from '../engine/entity-id.ts'
import { isLabel, labelHours, ownerFields, repeatedFields } from './labels.ts'
import { slotsOf, type ColumnOf } from './sql-cells.ts'
import { tileSql } from './sql-text.ts'

/** Every event type that labels something. */
export function labelTypes(set: FeatureSet): string[] {
  return set.events.filter(isLabel).map(({ type }) => type)
}

/** The event types that change something for these views: all labels, where one of them is looked at. */
export function toldTypes(set: FeatureSet, views: readonly View[]): string[] {
  const types = [...new Set(views.flatMap(slotsOf).map((slot) => slot.source.eventType))]
  const labels = labelTypes(set)
  return types.some((type) => labels.includes(type)) ? [...new Set([...types, ...labels])] : types
}

/** Whether these views look at labels. */
export function lookAtLabels(set: FeatureSet, views: readonly View[]): boolean {
  return toldTypes(set, views).some((type) => labelTypes(set).includes(type))
}

/** Names what an entry labels among the subjects of all aggregates, NULL for an entry that is no label. */
export function subjectSql(set: FeatureSet, column: ColumnOf): string {
  const owner = ownerFields(set).map((field) => `${idPartSql(column(field))} || ${literal(idSeparator)} || `)
  return `${owner.join('')}${subjectIdSql(set, column)}`
}

/** The event id of what an entry labels. */
function subjectIdSql(set: FeatureSet, column: ColumnOf): string {
  const cases = set.events
    .filter(isLabel)
    .map(({ type, label }) => `WHEN ${literal(type)} THEN ${column(label.subjectField)}`)
  return `CASE event_type ${cases.join(' ')} END`
}

/** Lives in which a label took another one's place: frames hold what came, not what stands. */
export function relabelledSql(hopMs: number): string {
  return `SELECT id, born FROM keyed_${hopMs} WHERE told AND subject IS NOT NULL
  GROUP BY id, born, subject HAVING count(*) > 1`
}

/**
 * `until`: the number of the label that takes the place of another one, by the place of that one; by its subject, too,
 * because after a loss two events can have one number. A label that is older than one before it is never read: its own
 * number. Reads `told_<hop>`.
 */
export function untilSql(hopMs: number): string {
  return `until_${hopMs} AS MATERIALIZED (SELECT id, born, sequence, subject, event_time_ms,
    CASE WHEN is_older THEN sequence
      ELSE lead(CASE WHEN NOT is_older THEN sequence END IGNORE NULLS) OVER (PARTITION BY id, born, subject ORDER BY sequence)
    END AS until
  FROM (SELECT *, coalesce(event_time_ms < max(event_time_ms) OVER (PARTITION BY id, born, subject ORDER BY sequence
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS is_older
    FROM told_${hopMs} WHERE subject IS NOT NULL AND (forgotten IS NULL OR tile > forgotten)))`
}

/**
 * Why labels count nowhere, from the events of the partition-key entity alone: `position` and `verdict` of each label that
 * counts nowhere. `entries` has a row for each event that the entity was told, with its `event_id` and a `position` of its own:
 * after a loss two events can have one sequence number.
 */
export function verdictsSql(
  set: FeatureSet,
  { entries, column }: { readonly entries: string; readonly column: ColumnOf },
): string | null {
  const labels = set.events.filter(isLabel)
  const [first] = labels
  if (first === undefined) return null
  const names = repeatedFields(first.label).filter((name) => name !== 'time')
  const repeated = names.map((name, i) => {
    const cases = labels.map(({ type, label }) => {
      const [field = ''] = Object.entries(label.repeats).find(([, of]) => of === name) ?? []
      return `WHEN ${literal(type)} THEN ${column(field)}`
    })
    return `CASE event_type ${cases.join(' ')} END AS said_${i}`
  })
  const differs = names.map((name, i) => `l.said_${i} IS DISTINCT FROM p.${column(name)}`)
  const isForgotten = `n.place - p.place >= ${subjectsMax} OR p.hour <= n.newest_hour - ${labelHours(set)}`
  return `WITH subjects AS MATERIALIZED (
  SELECT *, row_number() OVER life AS place, max(hour) OVER life AS newest_hour FROM (
    SELECT *, ${tileSql('time_ms', hourMs)} AS hour FROM ${entries} WHERE event_type = ${literal(first.label.subjectType)})
  WINDOW life AS (PARTITION BY id, born ORDER BY sequence)),
labels AS (SELECT id, born, sequence, position, time_ms, ${subjectIdSql(set, column)} AS subject, ${repeated.join(', ')}
  FROM ${entries} WHERE event_type IN (${labelTypes(set).map(literal).join(', ')}))
SELECT * FROM (
  SELECT l.position, CASE WHEN p.sequence IS NULL OR ${isForgotten} THEN 'unknown_subject'
    WHEN ${[...differs, 'l.time_ms <> p.time_ms'].join(' OR ')} THEN 'contradicts_subject' END AS verdict
  FROM labels l
  ASOF LEFT JOIN subjects n ON n.id = l.id AND n.born = l.born AND n.sequence < l.sequence
  ASOF LEFT JOIN subjects p ON p.id = l.id AND p.born = l.born AND p.event_id = l.subject AND p.sequence < l.sequence)
WHERE verdict IS NOT NULL`
}
