import { subjectsMax } from '../../engine/limits.ts'
import { literal } from '../../base/sql.ts'
import { hourMs } from '../../base/units.ts'
import type { FeatureSet } from '../../define/feature-set.ts'
import type { View } from '../../define/view.ts'
import { idPartSql, idSeparator } from '../../engine/entity-id.ts'
import type { EventType } from '../../events/event.ts'
import type { LabelRule } from '../../events/label-rule.ts'
import { isLabel, labelHours, ownerFields, repeatedFields, subjectTypes } from '../labels.ts'
import { slotsOf, type ColumnOf } from './cells.ts'
import { tileSql } from './text.ts'

/** Every event type that labels something. */
export function labelTypes(set: FeatureSet): string[] {
  return set.events.filter(isLabel).map(({ type }) => type)
}

/** The event types that these views apply: all label types, where views read one of them. */
export function appliedTypes(set: FeatureSet, views: readonly View[]): string[] {
  const types = [...new Set(views.flatMap(slotsOf).map((slot) => slot.source.eventType))]
  const labels = labelTypes(set)
  return types.some((type) => labels.includes(type)) ? [...new Set([...types, ...labels])] : types
}

/** Whether these views read labels. */
export function lookAtLabels(set: FeatureSet, views: readonly View[]): boolean {
  return appliedTypes(set, views).some((type) => labelTypes(set).includes(type))
}

/** SQL of the key of an entry's subject among all aggregates and types, NULL for an entry that is no label. */
export function subjectSql(set: FeatureSet, column: ColumnOf): string {
  const owner = ownerFields(set).map((field) => `${idPartSql(column(field))} || ${literal(idSeparator)} || `)
  const types = subjectTypes(set)
  const number = ({ subjectType }: LabelRule) => literal(`${types.indexOf(subjectType)}${idSeparator}`)
  const ofType = types.length < 2 ? '' : `${byLabelSql(set.events, number)} || `
  return `${owner.join('')}${ofType}${subjectIdSql(set, column)}`
}

/** The event id of an entry's subject. */
function subjectIdSql(set: FeatureSet, column: ColumnOf): string {
  return byLabelSql(set.events, (label) => column(label.subjectField))
}

/** The event type of an entry's subject. */
function subjectTypeSql(set: FeatureSet): string {
  return byLabelSql(set.events, (label) => literal(label.subjectType))
}

/** SQL that picks an expression by label type, NULL for other entries. */
function byLabelSql(events: readonly EventType[], said: (label: LabelRule) => string): string {
  const cases = events.filter(isLabel).map(({ type, label }) => `WHEN ${literal(type)} THEN ${said(label)}`)
  return `CASE event_type ${cases.join(' ')} END`
}

/** Incarnations in which a label replaced another one: frames hold all labels, not only the current one. */
export function relabelledSql(hopMs: number): string {
  return `SELECT id, incarnation FROM keyed_${hopMs} WHERE counted AND subject IS NOT NULL
  GROUP BY id, incarnation, subject HAVING count(*) > 1`
}

/**
 * `until`: the sequence number of the label that replaces this one, by this one's number and subject, because after a
 * loss two events can have one number. A label older than one before it has its own number: no read sees it. Reads
 * `counted_<hop>`.
 */
export function untilSql(hopMs: number): string {
  return `until_${hopMs} AS MATERIALIZED (SELECT id, incarnation, sequence, subject, event_time_ms,
    CASE WHEN is_older THEN sequence
      ELSE lead(CASE WHEN NOT is_older THEN sequence END IGNORE NULLS) OVER (PARTITION BY id, incarnation, subject ORDER BY sequence)
    END AS until
  FROM (SELECT *, coalesce(event_time_ms < max(event_time_ms) OVER (PARTITION BY id, incarnation, subject ORDER BY sequence
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS is_older
    FROM counted_${hopMs} WHERE subject IS NOT NULL AND (forgotten IS NULL OR tile > forgotten)))`
}

/**
 * Why labels count nowhere, from the partition-key entity's events alone: `position` and `verdict` of each such label.
 * `entries` has a row for each of the entity's events, with its `event_id` and a `position` of its own: after a loss
 * two events can have one sequence number.
 */
export function verdictsSql(
  set: FeatureSet,
  { entries, column }: { readonly entries: string; readonly column: ColumnOf },
): string | null {
  const types = subjectTypes(set)
  if (types.length === 0) return null
  const compared = types.map((type, t) => comparedWith(set, type, t, column))
  const said = compared.flatMap((one) => one.said)
  const differs = compared.map((one) => `(l.subject_type = ${literal(one.type)} AND (${one.differs.join(' OR ')}))`)
  const isForgotten = `n.place - p.place >= ${subjectsMax} OR p.hour <= n.newest_hour - ${labelHours(set)}`
  const named = `${subjectTypeSql(set)} AS subject_type, ${subjectIdSql(set, column)} AS subject`
  return `WITH subjects AS MATERIALIZED (
  SELECT *, row_number() OVER per_incarnation AS place, max(hour) OVER per_incarnation AS newest_hour FROM (
    SELECT *, ${tileSql('time_ms', hourMs)} AS hour FROM ${entries} WHERE event_type IN (${types.map(literal).join(', ')}))
  WINDOW per_incarnation AS (PARTITION BY id, incarnation ORDER BY sequence)),
labels AS (SELECT id, incarnation, sequence, position, time_ms, ${[named, ...said].join(', ')}
  FROM ${entries} WHERE event_type IN (${labelTypes(set).map(literal).join(', ')}))
SELECT * FROM (
  SELECT l.position, CASE WHEN p.sequence IS NULL OR ${isForgotten} THEN 'unknown_subject'
    WHEN ${differs.join(' OR ')} THEN 'contradicts_subject' END AS verdict
  FROM labels l
  ASOF LEFT JOIN subjects n ON n.id = l.id AND n.incarnation = l.incarnation AND n.sequence < l.sequence
  ASOF LEFT JOIN subjects p ON p.id = l.id AND p.incarnation = l.incarnation AND p.event_id = l.subject
    AND p.event_type = l.subject_type AND p.sequence < l.sequence)
WHERE verdict IS NOT NULL`
}

/** The columns of a label `l` that its type repeats, and SQL that compares them with those of its subject `p`. */
function comparedWith({ events }: FeatureSet, type: string, number: number, column: ColumnOf) {
  const labels = events.filter(isLabel).filter(({ label }) => label.subjectType === type)
  const names = labels[0] === undefined ? [] : repeatedFields(labels[0].label).filter((name) => name !== 'time')
  const said = names.map((name, i) => {
    const own = ({ repeats }: LabelRule) => Object.entries(repeats).find(([, of]) => of === name)?.[0] ?? name
    return `${byLabelSql(labels, (label) => column(own(label)))} AS said_${number}_${i}`
  })
  const differs = names.map((name, i) => `l.said_${number}_${i} IS DISTINCT FROM p.${column(name)}`)
  return { type, said, differs: [...differs, 'l.time_ms <> p.time_ms'] }
}
