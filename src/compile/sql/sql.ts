import { literal } from '../../base/sql.ts'
import { durationMs, windowMs } from '../../base/units.ts'
import type { FeatureSet } from '../../define/feature-set.ts'
import type { View } from '../../define/view.ts'
import { horizonMs } from '../horizon.ts'
import { cellsOf, runCell, slotsOf, type ReadGroup } from './cells.ts'
import { featuresSql } from './features.ts'
import { framedSql, groupsOf, oddSql, placeSql } from './frames.ts'
import { joinedSql, countedSql } from './joins.ts'
import { lookAtLabels, relabelledSql, subjectSql, appliedTypes, untilSql } from './labels.ts'
import { tileSql } from './text.ts'

/** What the generated SQL reads. All times in milliseconds, all numbers BIGINT, ids and event types VARCHAR. */
export interface SqlRelations {
  /**
   * One row for each event of an entity (rows without an `id` name none, and are left out): `id, incarnation, sequence,
   * time_ms, event_type`, `event_time_ms` (the event's own: it decides which label of a subject is the newest), a
   * column for every field that the definitions read, named by {@link column}; `is_observed`, false for what changed
   * nothing (a duplicate, a read that is no event); `read_id`, unique, NULL where nobody read the features.
   */
  readonly entries: string
  readonly column: (field: string) => string
  /** `entries` is a table of {@link entriesSql}, made once for several queries. */
  readonly isPrepared?: boolean
  /** There are few reads among many entries: leaves out frames, which scan all of them. */
  readonly hasFewReads?: boolean
}

/** The entries with what is known of each before it. */
export function entriesSql(set: FeatureSet, entity: string, relations: SqlRelations): string {
  return knownSql(set, viewsOfEntity(set, entity), relations)
}

const viewsOfEntity = (set: FeatureSet, entity: string) => set.views.filter((view) => view.entity.name === entity)

/**
 * One SELECT that recomputes every feature of an entity for every read, from history alone: `read_id`, then the
 * features by name. It follows the window semantics: an observation is in a window when its sequence number is smaller
 * than the read's, its tile is in the window, and the entity had not forgotten it. Where an incarnation's entries are
 * in the order of their times, that is a frame of a window function; for all other reads it is a join. `asked` leaves
 * out features, or whole views: what is forgotten still follows from all views of the entity.
 */
export function entitySql(set: FeatureSet, entity: string, relations: SqlRelations, asked?: readonly View[]): string {
  const views = viewsOfEntity(set, entity)
  const wanted = asked ?? views
  const hops = hopsOf(wanted)
  const ctes = [
    entriesCte(set, views, relations),
    ...hops.flatMap((hopMs) => hopCtes(set, views, wanted, hopMs, relations)),
  ]
  return `WITH ${ctes.join(',\n')}\n${featuresSql(
    wanted,
    hops.map((hopMs) => ({ name: `cells_${hopMs}`, groups: groupsOf(wanted, hopMs) })),
  )}`
}

/** Like {@link entitySql} for observations: `id, incarnation, sequence` of those that the state refused as too late. */
export function outcomesSql(set: FeatureSet, entity: string, relations: SqlRelations): string {
  const views = viewsOfEntity(set, entity)
  const hops = hopsOf(views)
  const ctes = hops.flatMap((hopMs) => {
    const ofHop = viewsOf(views, hopMs)
    return [
      keyedCte(views, hopMs),
      `odd_${hopMs} AS (${oddOf(set, views, hopMs)})`,
      `tiled_${hopMs} AS MATERIALIZED (SELECT * FROM keyed_${hopMs} SEMI JOIN odd_${hopMs} USING (id, incarnation) WHERE counted)`,
      `joined_reads_${hopMs} AS (SELECT * FROM keyed_${hopMs} WHERE false)`,
      ...countedSql(groupOf(views, hopMs), tilesMaxOf(views), relations.column, ofHop).slice(0, -1),
    ]
  })
  const late = hops.map(
    (hopMs) => `SELECT id, incarnation, sequence FROM counted_${hopMs}
WHERE tile <= forgotten AND event_type IN (${appliedTypesSql(set, viewsOf(views, hopMs))})`,
  )
  return `WITH ${[entriesCte(set, views, relations), ...ctes].join(',\n')}\n${late.join('\nUNION ')}`
}

function hopCtes(
  set: FeatureSet,
  views: readonly View[],
  wanted: readonly View[],
  hopMs: number,
  { column, hasFewReads = false }: SqlRelations,
): string[] {
  const groups = groupsOf(wanted, hopMs)
  const tilesMax = tilesMaxOf(views)
  const hasLabels = lookAtLabels(set, viewsOf(views, hopMs))
  const joined = joinedSql(groups, column, hasLabels)
  const names = groups.flatMap((group) => [...cellsOf(group).keys(), ...runCellsOf(group)])
  // A run that is cut has no frame, and no column there.
  const framed = names.map((name) => (cutRunsOf(groups).has(name) ? `NULL::BIGINT AS ${name}` : name))
  const framedCtes = [
    `odd_${hopMs} AS (${oddOf(set, views, hopMs)})`,
    `framed_${hopMs} AS MATERIALIZED (${framedSql(hopMs, groups, column)})`,
  ]
  const unframed = hasFewReads ? `keyed_${hopMs} WHERE read_id IS NOT NULL` : `framed_${hopMs} WHERE NOT is_framed`
  const framedCells = `SELECT read_id, time_ms, ${framed.join(', ')} FROM framed_${hopMs} WHERE is_framed
  UNION ALL BY NAME `
  return [
    keyedCte(views, hopMs),
    ...(hasFewReads ? [] : framedCtes),
    `joined_reads_${hopMs} AS MATERIALIZED (SELECT read_id, id, incarnation, sequence, time_ms, forgotten FROM ${unframed})`,
    `tiled_${hopMs} AS MATERIALIZED (SELECT * FROM keyed_${hopMs}
  SEMI JOIN joined_reads_${hopMs} USING (id, incarnation) WHERE counted)`,
    ...countedSql(groupOf(views, hopMs), tilesMax, column, viewsOf(views, hopMs)),
    ...(hasLabels ? [untilSql(hopMs)] : []),
    ...joined.ctes,
    `cells_${hopMs} AS (${hasFewReads ? '' : framedCells}${joined.select})`,
  ]
}

const hopsOf = (views: readonly View[]) => [...new Set(views.map((view) => durationMs(view.hop)))].sort((a, b) => a - b)
const viewsOf = (views: readonly View[], hopMs: number) => views.filter((view) => durationMs(view.hop) === hopMs)
const tilesMaxOf = (views: readonly View[]) => views[0]?.entity.tilesMax ?? 1

function groupOf(views: readonly View[], hopMs: number): ReadGroup {
  const [group] = groupsOf(views, hopMs)
  if (group === undefined) throw new Error(`no view has the hop ${hopMs}`)
  return group
}

function runCellsOf(group: ReadGroup): string[] {
  return group.views.flatMap((view) =>
    view.aggregates
      .filter(({ kind }) => kind === 'run')
      .flatMap((aggregate) => view.windows.map((window) => runCell(group, view, aggregate, windowMs(window)))),
  )
}

const cutRunsOf = (groups: readonly ReadGroup[]) =>
  new Set(groups.filter(({ delayMs }) => delayMs === 0).flatMap(runCellsOf))

const appliedTypesSql = (set: FeatureSet, views: readonly View[]) => appliedTypes(set, views).map(literal).join(', ')

function oddOf(set: FeatureSet, views: readonly View[], hopMs: number): string {
  const odd = oddSql(hopMs, tilesMaxOf(views))
  return lookAtLabels(set, viewsOf(views, hopMs)) ? `${odd}\n  UNION ${relabelledSql(hopMs)}` : odd
}

function entriesCte(set: FeatureSet, views: readonly View[], relations: SqlRelations): string {
  const { entries, isPrepared = false } = relations
  return isPrepared
    ? `entries AS (SELECT * FROM ${entries})`
    : `entries AS MATERIALIZED (${knownSql(set, views, relations)})`
}

/**
 * `counted`: what the views observe. `step`: orders by number, reads before the observation of the same number.
 * `known_ms`: the newest of these times among smaller sequence numbers. `previous`: the number before (for verify).
 * `is_twice`: an observation with the same number comes before. `subject`: the subject of a label, where views read
 * labels. `moment`: orders by time, then by number.
 */
function knownSql(set: FeatureSet, views: readonly View[], { entries, column }: SqlRelations): string {
  const subject = lookAtLabels(set, views) ? `, ${subjectSql(set, column)} AS subject` : ''
  return `SELECT *, max(time_ms) FILTER (counted) OVER smaller AS known_ms, lag(sequence) OVER before AS previous,
    counted AND coalesce(lag(step) OVER before = step, false) AS is_twice${needsMoment(views) ? `,\n    ${momentSql} AS moment` : ''}
  FROM (SELECT *, coalesce(is_observed AND event_type IN (${appliedTypesSql(set, views)}), false) AS counted,
    2 * sequence + counted::BIGINT AS step${subject} FROM ${entries} WHERE id IS NOT NULL)
  WINDOW before AS (PARTITION BY id, incarnation ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
    smaller AS (PARTITION BY id, incarnation ORDER BY step RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)`
}

const momentSql = 'time_ms::HUGEINT * 4611686018427387904 + sequence'
const needsMoment = (views: readonly View[]) =>
  views.flatMap(slotsOf).some(({ kind }) => kind === 'oldest' || kind === 'newest')

/** Adds each entry's tile, and the last tile forgotten before it (`forgotten`) and with it (`counted_forgotten`). */
function keyedCte(views: readonly View[], hopMs: number): string {
  const horizon = horizonMs(views)
  return `keyed_${hopMs} AS (SELECT *, ${tileSql('time_ms', hopMs)} AS tile,
    ${tileSql(`known_ms - ${horizon}`, hopMs)} AS forgotten,
    ${tileSql(`greatest(known_ms, time_ms) - ${horizon}`, hopMs)} AS counted_forgotten,
    ${placeSql}
  FROM entries)`
}
