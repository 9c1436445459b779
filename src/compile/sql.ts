import { durationMs, windowMs } from '../core/units.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import type { View } from '../define/view.ts'
import { horizonMs } from './horizon.ts'
import { featuresSql, joinSql, runsSql, slotsOf, type ReadGroup } from './sql-features.ts'
import { conditionSql, tileSql } from './sql-text.ts'

/** What the generated SQL reads. All times in milliseconds, all numbers BIGINT, ids and event types VARCHAR. */
export interface SqlRelations {
  /**
   * `id, born, sequence, time_ms, event_type` and a column for every field that the definitions look at, under the name
   * that {@link column} gives it: what one entity observed, duplicates left out.
   */
  readonly observations: string
  /** `read_id, id, born, sequence, time_ms`: a read by the event with this number, at this time. */
  readonly reads: string
  readonly column: (field: string) => string
}

/**
 * One SELECT that recomputes every feature of an entity for every read, from history alone: `read_id`, then the features
 * by name. It says what the window semantics say, as joins: an observation is in a window when its sequence number is
 * smaller than the read's, its tile is in the window, and the entity had not forgotten it.
 */
export function entitySql(set: FeatureSet, entity: string, relations: SqlRelations): string {
  const views = set.views.filter((view) => view.entity.name === entity)
  const hops = [...new Set(views.map((view) => durationMs(view.hop)))].sort((a, b) => a - b)
  const groups = hops.flatMap((hopMs) => groupsOf(views, hopMs))
  const ctes = [
    `seen AS MATERIALIZED (${seenSql(views, relations)})`,
    `known AS MATERIALIZED (${knownSql(relations)})`,
    ...hops.flatMap((hopMs) => hopSql(views, hopMs, relations)),
    ...groups.map((group) => `${group.name} AS (${joinSql(group, relations.column)})`),
    ...groups.flatMap((group) => runsSql(group, relations.column)),
  ]
  return `WITH ${ctes.join(',\n')}\n${featuresSql(views, groups)}`
}

/** Like {@link entitySql}, but for observations: `id, born, sequence` and whether the state still took it. */
export function outcomesSql(set: FeatureSet, entity: string, relations: SqlRelations): string {
  const views = set.views.filter((view) => view.entity.name === entity)
  const hops = [...new Set(views.map((view) => durationMs(view.hop)))].sort((a, b) => a - b)
  const ctes = [
    `seen AS MATERIALIZED (${seenSql(views, relations)})`,
    `known AS MATERIALIZED (${knownSql(relations)})`,
    ...hops.flatMap((hopMs) => hopSql(views, hopMs, relations)),
  ]
  const late = hops.map((hopMs) => {
    const types = eventTypesOf(views.filter((view) => durationMs(view.hop) === hopMs))
    return `SELECT id, born, sequence FROM told_${hopMs} WHERE tile <= forgotten AND event_type IN (${types})`
  })
  return `WITH ${ctes.join(',\n')}\n${late.join('\nUNION ')}`
}

function groupsOf(views: readonly View[], hopMs: number): ReadGroup[] {
  const ofHop = views.filter((view) => durationMs(view.hop) === hopMs)
  const delays = [...new Set(ofHop.map((view) => durationMs(view.delay)))].sort((a, b) => a - b)
  return delays.map((delayMs) => {
    const ofDelay = ofHop.filter((view) => durationMs(view.delay) === delayMs)
    const windows = [...new Set(ofDelay.flatMap((view) => view.windows.map(windowMs)))].sort((a, b) => a - b)
    return { name: `read_${hopMs}_${delayMs}`, hopMs, delayMs, windowsMs: windows, views: ofDelay }
  })
}

function eventTypesOf(views: readonly View[]): string {
  const types = new Set(views.flatMap(slotsOf).map((slot) => slot.source.eventType))
  return [...types].map((type) => `'${type}'`).join(', ')
}

/** Observations of the entity's views, each with M: the newest time so far, its own included. */
function seenSql(views: readonly View[], { observations }: SqlRelations): string {
  return `SELECT *, max(time_ms) OVER (PARTITION BY id, born ORDER BY sequence ROWS UNBOUNDED PRECEDING) AS newest_ms,
    time_ms::HUGEINT * 4611686018427387904 + sequence AS moment
  FROM ${observations} WHERE event_type IN (${eventTypesOf(views)})`
}

/** Reads, each with M: the newest time among smaller sequence numbers. */
function knownSql({ reads }: SqlRelations): string {
  return `SELECT r.read_id, r.id, r.born, r.sequence, r.time_ms, s.newest_ms FROM ${reads} r
  ASOF LEFT JOIN seen s ON s.id = r.id AND s.born = r.born AND s.sequence < r.sequence`
}

/**
 * Per hop: `told` has the tile of each observation and what was forgotten when it came, `asked` what was forgotten when
 * a read was made: what is older than the horizon, and, for an entity with more tiles than its limit, the tile after
 * those that fit (NULL where neither).
 */
function hopSql(views: readonly View[], hopMs: number, { column }: SqlRelations): string[] {
  const ofHop = views.filter((view) => durationMs(view.hop) === hopMs)
  const tilesMax = ofHop[0]?.entity.tilesMax ?? 1
  const horizon = horizonMs(views)
  const matching = [...new Set(ofHop.flatMap(slotsOf).map((slot) => conditionSql(slot.source, column)))]
  const dropped = `max(f.tile, ${tilesMax + 1})[${tilesMax + 1}]`
  const forgotten = (capped: string) => `greatest(${tileSql(`newest_ms - ${horizon}`, hopMs)}, ${capped})`
  return [
    `tiled_${hopMs} AS (SELECT *, ${tileSql('time_ms', hopMs)} AS tile FROM seen)`,
    `first_${hopMs} AS (SELECT id, born, tile, min(sequence) AS since FROM tiled_${hopMs}
  WHERE ${matching.map((condition) => `(${condition})`).join(' OR ')} GROUP BY ALL)`,
    `hot_${hopMs} AS MATERIALIZED (SELECT id, born FROM first_${hopMs} GROUP BY ALL HAVING count(*) > ${tilesMax})`,
    `capped_${hopMs} AS MATERIALIZED (SELECT p.id, p.born, p.sequence, ${dropped} AS capped
  FROM (SELECT id, born, sequence FROM seen UNION SELECT id, born, sequence FROM known) p
  SEMI JOIN hot_${hopMs} h ON h.id = p.id AND h.born = p.born
  JOIN first_${hopMs} f ON f.id = p.id AND f.born = p.born AND f.since < p.sequence GROUP BY ALL)`,
    `told_${hopMs} AS MATERIALIZED (SELECT t.*, ${forgotten('c.capped')} AS forgotten FROM tiled_${hopMs} t
  LEFT JOIN capped_${hopMs} c ON c.id = t.id AND c.born = t.born AND c.sequence = t.sequence)`,
    `asked_${hopMs} AS MATERIALIZED (SELECT k.*, ${forgotten('c.capped')} AS forgotten FROM known k
  LEFT JOIN capped_${hopMs} c ON c.id = k.id AND c.born = k.born AND c.sequence = k.sequence)`,
  ]
}
