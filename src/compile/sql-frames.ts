import { durationMs, windowMs } from '../core/units.ts'
import type { Aggregate } from '../define/aggregate.ts'
import type { View } from '../define/view.ts'
import { cellSql, cellsOf, longestOf, runCell, type ColumnOf, type ReadGroup } from './sql-cells.ts'
import { conditionSql } from './sql-text.ts'

/**
 * An entry's place on one line: its tile, then its rank in its life. So many ranks fit into a tile, and so many tiles to
 * either side of zero; a life that has more, or reaches further, is read by joins.
 */
const ranks = 1_073_741_824n
const tilesReach = 4_294_967_295n

/**
 * Whether an entry has a place on the line, and the place. `tile`, `sequence` and `born` are there; an entry without a
 * place makes its whole life one that is read by joins.
 */
export const placeSql = `tile BETWEEN -${tilesReach} AND ${tilesReach} AND sequence >= born AND sequence - born < ${ranks} AS has_place,
    CASE WHEN has_place THEN sequence - born ELSE 0 END AS rank,
    CASE WHEN has_place THEN tile * ${ranks} + rank ELSE 0 END AS place`

/** Of so many tiles. Multiplied here: a small literal is a small integer in SQL. */
const ranksOf = (tiles: number) => `${BigInt(tiles) * ranks}::BIGINT`
const life = 'PARTITION BY id, born ORDER BY place'
/** Reads see nothing of the tile that a delay of less than a tile would cut: there is none, hops divide delays. */
const endSql = ({ delayMs, hopMs }: ReadGroup) =>
  delayMs === 0 ? '1 PRECEDING' : `(${ranksOf(delayMs / hopMs - 1)} + rank + 1) PRECEDING`
const startSql = ({ delayMs, hopMs }: ReadGroup, window: number) =>
  window === Infinity ? 'UNBOUNDED PRECEDING' : `(${ranksOf((delayMs + window) / hopMs - 1)} + rank) PRECEDING`

const frameName = (group: ReadGroup, window: number) => `${group.name}_w${group.windowsMs.indexOf(window)}`

/**
 * Every slot of every window over the entries of one hop, as window functions: what a read at an entry saw, if everything
 * in its longest frame came before it (`is_framed`). Entries out of order, forgotten tiles and tiles beyond the limit are
 * left to the joins. Reads `keyed_<hop>`.
 */
export function framedSql(hopMs: number, groups: readonly ReadGroup[], tilesMax: number, column: ColumnOf): string {
  const conditions = conditionsOf(groups, column)
  const flags = conditions.map((condition, i) => `told AND ${condition} AS c${i}`)
  const filter = (condition: string) => `FILTER (c${conditions.indexOf(condition)})`
  const cells = groups.flatMap((group) =>
    [...cellsOf(group)].map(([name, { slot, window }]) => {
      const over = `${filter(conditionSql(slot.source, column))} OVER ${frameName(group, window)}`
      return `${cellSql(slot, column, '', over)} AS ${name}`
    }),
  )
  const runs = groups.filter(({ delayMs }) => delayMs > 0).flatMap((group) => runsOf(group, column, filter))
  const frames = groups.flatMap((group) =>
    group.windowsMs.map(
      (window) =>
        `${frameName(group, window)} AS (${life} RANGE BETWEEN ${startSql(group, window)} AND ${endSql(group)})`,
    ),
  )
  const whole = `whole AS (${life} RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)`
  const source = `(SELECT *, ${flags.join(', ')} FROM keyed_${hopMs})`
  return `SELECT read_id, id, born, sequence, time_ms, tile, forgotten,
    ${isFramedSql(groups, tilesMax)} AS is_framed${[...cells, ...runs.map(({ sql }) => sql)].map((cell) => `,\n    ${cell}`).join('')}
  FROM ${tilesSql(source, runs)}
  WINDOW ${[whole, ...frames].join(',\n    ')}`
}

/** A life whose tiles all fit and that refused nothing; a read that came after all it looks at, and where nothing is forgotten. */
function isFramedSql(groups: readonly ReadGroup[], tilesMax: number): string {
  const reads = groups.map((group) => {
    const longest = longestOf(group)
    const finite = group.windowsMs.filter((window) => window !== Infinity).at(-1) ?? 0
    const edge = `tile - ${(group.delayMs + finite) / group.hopMs}`
    const inOrder = `coalesce(max(sequence) FILTER (told) OVER ${frameName(group, longest)} < sequence, true)`
    return `${inOrder} AND coalesce(forgotten <= ${edge}, true)`
  })
  // A run ends at a tile that is not all matching: with no delay the newest tile would be cut.
  const hasCutRun = groups.some(({ delayMs, views }) => delayMs === 0 && views.some(hasRun))
  return [
    'bool_and(has_place AND NOT (told AND coalesce(tile <= told_forgotten, false))) OVER whole',
    `count(*) FILTER (told) OVER whole <= ${tilesMax}`,
    ...reads,
    ...(hasCutRun ? ['false'] : []),
  ].join(' AND ')
}

interface Run {
  readonly sql: string
  /** What must be known of every tile before: columns, by name. */
  readonly ofTiles: ReadonlyMap<string, string>
}

function runsOf(group: ReadGroup, column: ColumnOf, filter: (condition: string) => string): Run[] {
  return group.views.flatMap((view) =>
    view.aggregates.filter(isRun).flatMap((aggregate) => {
      const [matching, all] = aggregate.slots.map((slot) => filter(conditionSql(slot.source, column)))
      const name = `${group.name}_${view.name}_${aggregate.name}`
      const ofTiles = new Map([
        [`${name}_until`, `count(*) ${all} OVER until_tile`],
        [`${name}_broken`, `count(*) ${matching} OVER in_tile < count(*) ${all} OVER in_tile`],
      ])
      return view.windows.map((window) => {
        const over = `OVER ${frameName(group, windowMs(window))}`
        const broken = `max(CASE WHEN ${name}_broken THEN ${name}_until END) ${over}`
        const sql = `CASE WHEN ${broken} IS NULL THEN count(*) ${all} ${over} ELSE max(${name}_until) ${over} - ${broken} END`
        return { sql: `${sql} AS ${runCell(group, view, aggregate, windowMs(window))}`, ofTiles }
      })
    }),
  )
}

const isRun = ({ kind }: Aggregate) => kind === 'run'
const hasRun = (view: View) => view.aggregates.some(isRun)

/** Runs look at whole tiles, which is a pass of its own. */
function tilesSql(source: string, runs: readonly Run[]): string {
  const columns = new Map(runs.flatMap(({ ofTiles }) => [...ofTiles]))
  if (columns.size === 0) return source
  const tileEnd = `(${ranks - 1n} - rank) FOLLOWING`
  return `(SELECT *, ${[...columns].map(([name, sql]) => `${sql} AS ${name}`).join(', ')} FROM ${source}
    WINDOW in_tile AS (${life} RANGE BETWEEN rank PRECEDING AND ${tileEnd}),
      until_tile AS (${life} RANGE BETWEEN UNBOUNDED PRECEDING AND ${tileEnd}))`
}

function conditionsOf(groups: readonly ReadGroup[], column: ColumnOf): readonly string[] {
  const slots = groups.flatMap(({ views }) => views.flatMap(({ aggregates }) => aggregates.flatMap((a) => a.slots)))
  return [...new Set(slots.map(({ source }) => conditionSql(source, column)))]
}

/** Views of one hop and delay, for all hops of an entity. */
export function groupsOf(views: readonly View[], hopMs: number): ReadGroup[] {
  const ofHop = views.filter((view) => durationMs(view.hop) === hopMs)
  const delays = [...new Set(ofHop.map((view) => durationMs(view.delay)))].sort((a, b) => a - b)
  return delays.map((delayMs) => {
    const ofDelay = ofHop.filter((view) => durationMs(view.delay) === delayMs)
    const windows = [...new Set(ofDelay.flatMap((view) => view.windows.map(windowMs)))].sort((a, b) => a - b)
    return { name: `read_${hopMs}_${delayMs}`, hopMs, delayMs, windowsMs: windows, views: ofDelay }
  })
}
