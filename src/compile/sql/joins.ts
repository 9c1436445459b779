import { windowMs } from '../../base/units.ts'
import { cellSql, cellsOf, longestOf, runCell, slotsOf, type ColumnOf, type ReadGroup } from './cells.ts'
import { conditionSql, tileSql } from './text.ts'

/** The last tile of a group's windows, and the one before the first of each. */
const endSql = ({ delayMs, hopMs }: ReadGroup) => tileSql(`r.time_ms - ${delayMs}`, hopMs)
const startSql = ({ delayMs, hopMs }: ReadGroup, window: number) => tileSql(`r.time_ms - ${delayMs + window}`, hopMs)

/**
 * Selects what was observed before a read within the longest window: comparisons only, so that it stays a hash join.
 */
function insideSql(group: ReadGroup, longest: number, hasLabels: boolean): string {
  const finite = `o.tile <= r.window_end AND o.tile > coalesce(r.forgotten, -9223372036854775807)`
  const reach =
    longest === Infinity
      ? 'o.tile <= greatest(r.window_end, r.forgotten)'
      : `${finite} AND o.tile > r.start_${group.windowsMs.indexOf(longest)}`
  const isCurrent = hasLabels ? ' AND (o.until IS NULL OR o.until >= r.sequence)' : ''
  return `o.id = r.id AND o.incarnation = r.incarnation AND o.sequence < r.sequence${isCurrent} AND ${reach}`
}

function boundsSql(group: ReadGroup): string {
  const starts = group.windowsMs.flatMap((window, i) =>
    window === Infinity ? [] : [`${startSql(group, window)} AS start_${i}`],
  )
  return `(SELECT r.*, ${[`${endSql(group)} AS window_end`, ...starts].join(', ')} FROM asked_${group.hopMs} r) r`
}

/** Applied observations; where views read labels (`hasLabels`), with the number of the label that replaced each. */
function appliedSql({ hopMs }: ReadGroup, hasLabels: boolean): string {
  const applied = `SELECT * FROM counted_${hopMs} WHERE forgotten IS NULL OR tile > forgotten`
  return hasLabels
    ? `(SELECT * FROM (${applied}) LEFT JOIN until_${hopMs} USING (id, incarnation, sequence, subject, event_time_ms)) o`
    : `(${applied}) o`
}

function windowSql(group: ReadGroup, window: number): string {
  if (window === Infinity) return 'true'
  const start = `o.tile > r.start_${group.windowsMs.indexOf(window)}`
  if (longestOf(group) !== Infinity) return start
  return `${start} AND o.tile <= r.window_end AND o.tile > coalesce(r.forgotten, -9223372036854775807)`
}

/** One row per read of `asked_<hop>`, one column per slot and window: joins the longest window, filters each. */
export function joinSql(group: ReadGroup, column: ColumnOf, hasLabels: boolean): string {
  const cells = [...cellsOf(group)].map(([name, { slot, window }]) => {
    const filter = `FILTER (${windowSql(group, window)} AND ${conditionSql(slot.source, column, 'o.')})`
    return `${cellSql(slot, column, 'o.', filter)} AS ${name}`
  })
  return `SELECT r.read_id, any_value(r.time_ms) AS time_ms${cells.map((cell) => `,\n  ${cell}`).join('')}
FROM ${boundsSql(group)} LEFT JOIN ${appliedSql(group, hasLabels)} ON ${insideSql(group, longestOf(group), hasLabels)}
GROUP BY r.read_id`
}

/** By column, SQL that counts, tile by tile, how many of a window's newest observations all match. */
export function runsSql(group: ReadGroup, column: ColumnOf, hasLabels: boolean): ReadonlyMap<string, string> {
  const runs = new Map<string, string>()
  for (const view of group.views) {
    for (const aggregate of view.aggregates) {
      const [matching, all] = aggregate.slots
      if (aggregate.kind !== 'run' || matching === undefined || all === undefined) continue
      for (const window of view.windows) {
        const counts = `SELECT r.read_id, o.tile, count(*) FILTER (${conditionSql(matching.source, column, 'o.')}) AS matched,
    count(*) FILTER (${conditionSql(all.source, column, 'o.')}) AS total
  FROM ${boundsSql(group)} JOIN ${appliedSql(group, hasLabels)} ON ${insideSql(group, windowMs(window), hasLabels)} GROUP BY ALL`
        const broken = 'max(CASE WHEN matched < total THEN tile END) OVER (PARTITION BY read_id)'
        runs.set(
          runCell(group, view, aggregate, windowMs(window)),
          `SELECT read_id, sum(total) FILTER (broken IS NULL OR tile > broken) AS run FROM (
  SELECT *, ${broken} AS broken FROM (${counts}) WHERE total > 0) GROUP BY read_id`,
        )
      }
    }
  }
  return runs
}

/** All columns of a hop for the reads of `asked_<hop>`, with the common tables that they need, in order. */
export function joinedSql(
  groups: readonly ReadGroup[],
  column: ColumnOf,
  hasLabels: boolean,
): { ctes: string[]; select: string } {
  const runs = groups.flatMap((group) => [...runsSql(group, column, hasLabels)])
  const ctes = [
    ...groups.map((group) => `${group.name} AS (${joinSql(group, column, hasLabels)})`),
    ...runs.map(([name, sql]) => `${name}_joined AS (${sql})`),
  ]
  const [first, ...others] = groups.map(({ name }) => name)
  const cells = groups.flatMap((group) => [...cellsOf(group).keys()].map((name) => `${group.name}.${name}`))
  const columns = [...cells, ...runs.map(([name]) => `coalesce(${name}_joined.run, 0)::BIGINT AS ${name}`)]
  const joins = [
    ...others.map((name) => `JOIN ${name} USING (read_id)`),
    ...runs.map(([name]) => `LEFT JOIN ${name}_joined USING (read_id)`),
  ]
  return {
    ctes,
    select: `SELECT read_id, ${first}.time_ms, ${columns.join(', ')} FROM ${[first, ...joins].join(' ')}`,
  }
}

/**
 * Per hop: `counted` has the tile of each observation and the last tile forgotten when it came, `asked` the last tile
 * forgotten at a read: what is older than the horizon, and, for an entity with more tiles than its limit, the tile
 * after those that fit (NULL where neither). Reads `tiled_<hop>` (observations) and `joined_reads_<hop>`.
 */
export function countedSql(group: ReadGroup, tilesMax: number, column: ColumnOf, views: ReadGroup['views']): string[] {
  const { hopMs } = group
  const matching = [...new Set(views.flatMap(slotsOf).map((slot) => conditionSql(slot.source, column)))]
  const dropped = `max(f.tile, ${tilesMax + 1})[${tilesMax + 1}]`
  return [
    `first_${hopMs} AS (SELECT id, incarnation, tile, min(sequence) AS since
  FROM tiled_${hopMs} SEMI JOIN (SELECT id, incarnation FROM tiled_${hopMs} GROUP BY ALL HAVING count(*) > ${tilesMax}) USING (id, incarnation)
  WHERE ${matching.map((condition) => `(${condition})`).join(' OR ')} GROUP BY ALL)`,
    `hot_${hopMs} AS MATERIALIZED (SELECT id, incarnation FROM first_${hopMs} GROUP BY ALL HAVING count(*) > ${tilesMax})`,
    `capped_${hopMs} AS MATERIALIZED (SELECT p.id, p.incarnation, p.sequence, ${dropped} AS capped
  FROM (SELECT id, incarnation, sequence FROM tiled_${hopMs} UNION SELECT id, incarnation, sequence FROM joined_reads_${hopMs}) p
  SEMI JOIN hot_${hopMs} h ON h.id = p.id AND h.incarnation = p.incarnation
  JOIN first_${hopMs} f ON f.id = p.id AND f.incarnation = p.incarnation AND f.since < p.sequence GROUP BY ALL)`,
    `counted_${hopMs} AS MATERIALIZED (SELECT t.* EXCLUDE (forgotten, counted_forgotten), greatest(t.counted_forgotten, c.capped) AS forgotten
  FROM tiled_${hopMs} t LEFT JOIN capped_${hopMs} c ON c.id = t.id AND c.incarnation = t.incarnation AND c.sequence = t.sequence)`,
    `asked_${hopMs} AS MATERIALIZED (SELECT k.* EXCLUDE (forgotten), greatest(k.forgotten, c.capped) AS forgotten
  FROM joined_reads_${hopMs} k LEFT JOIN capped_${hopMs} c ON c.id = k.id AND c.incarnation = k.incarnation AND c.sequence = k.sequence)`,
  ]
}
