import { durationMs, windowMs } from '../../base/units.ts'
import type { View } from '../../define/view.ts'
import { cellSql, cellsOf, longestOf, type ColumnOf, type ReadGroup } from './cells.ts'
import { conditionSql } from './text.ts'
import { conditionsOf, edgeName, runsOf, totalsOf, type FlagOf, type Totals } from './totals.ts'

/**
 * An entry's place on one line: its tile, then its rank in its incarnation. So many ranks fit into a tile, and so many
 * tiles to either side of zero; joins read an incarnation that has more, or reaches further.
 */
const ranks = 1_073_741_824n
const tilesReach = 4_294_967_295n

/**
 * Whether an entry has a place on the line, and the place. Needs `tile`, `sequence` and `incarnation`; joins read the
 * whole incarnation of an entry without a place.
 */
export const placeSql = `tile BETWEEN -${tilesReach} AND ${tilesReach} AND sequence >= incarnation AND sequence - incarnation < ${ranks} AS has_place,
    CASE WHEN has_place THEN sequence - incarnation ELSE 0 END AS rank,
    CASE WHEN has_place THEN tile * ${ranks} + rank ELSE 0 END AS place`

/** The ranks of so many tiles. Multiplied here: a small literal is a small integer in SQL. */
const ranksOf = (tiles: number) => `${BigInt(tiles) * ranks}::BIGINT`
const byIncarnation = 'PARTITION BY id, incarnation ORDER BY place'
/** The distance from an entry's place back to the first place of a tile so far before its own. */
const backSql = (ms: number, hopMs: number) => `(${ranksOf(ms / hopMs - 1)} + rank)`
/** No delay cuts a tile: hops divide delays. */
const endSql = ({ delayMs, hopMs }: ReadGroup) =>
  delayMs === 0 ? '1 PRECEDING' : `(${ranksOf(delayMs / hopMs - 1)} + rank + 1) PRECEDING`
const startSql = ({ delayMs, hopMs }: ReadGroup, window: number) => `${backSql(delayMs + window, hopMs)} PRECEDING`

const frameName = (group: ReadGroup, window: number) => `${group.name}_w${group.windowsMs.indexOf(window)}`

/**
 * Every slot of every window over the entries of one hop: what a read at an entry saw, if everything in its longest
 * frame came before it (`is_framed`). Joins handle entries out of order, forgotten tiles and tiles beyond the limit.
 * Running totals are read at the edges of the windows, all totals of an edge at once; the rest is a window function
 * over the frame. Reads `keyed_<hop>` and `odd_<hop>`.
 */
export function framedSql(hopMs: number, groups: readonly ReadGroup[], column: ColumnOf): string {
  const conditions = conditionsOf(groups, column)
  const flagOf: FlagOf = (source) => `c${conditions.indexOf(conditionSql(source, column))}`
  const totals = totalsOf(groups, column, flagOf)
  const flags = conditions.map((condition, i) => `counted AND ${condition} AS c${i}`)
  const source = `(SELECT *, ${flags.join(', ')} FROM keyed_${hopMs})`
  const names = groups.flatMap((group) => [...cellsOf(group).keys()])
  const cells = [...totals.cells].map(([name, sql]) => `${sql} AS ${name}`)
  const framed = names.filter((name) => !totals.cells.has(name))
  return `SELECT read_id, id, incarnation, sequence, time_ms, tile, forgotten,
    ${isFramedSql(groups, totals)} AS is_framed${[...cells, ...framed].map((cell) => `,\n    ${cell}`).join('')}
  FROM ${windowsSql(runningSql(neighboursSql(tilesSql(source, totals), totals), totals), groups, totals, column, flagOf)}
  LEFT JOIN (SELECT id AS odd_id, incarnation AS odd_incarnation FROM odd_${hopMs}) ON odd_id = id AND odd_incarnation = incarnation
  WHERE read_id IS NOT NULL`
}

/**
 * Incarnations that frames cannot read: an entry has no place, an observation is there twice or was refused, or there
 * may be more tiles than the limit. Reads `keyed_<hop>`.
 */
export function oddSql(hopMs: number, tilesMax: number): string {
  const isOrdinary = 'has_place AND NOT is_twice AND NOT (counted AND coalesce(tile <= counted_forgotten, false))'
  return `SELECT id, incarnation FROM keyed_${hopMs} GROUP BY ALL
  HAVING NOT coalesce(bool_and(${isOrdinary}), false) OR count(*) FILTER (counted) > ${tilesMax}`
}

/** A read in an ordinary incarnation, after all that its windows hold, where nothing is forgotten. */
function isFramedSql(groups: readonly ReadGroup[], totals: Totals): string {
  const reads = groups.map((group) => {
    const finite = group.windowsMs.filter((window) => window !== Infinity).at(-1) ?? 0
    const newest = totals.newest.get(group) ?? `${group.name}_newest`
    return `coalesce(${newest} < sequence, true) AND coalesce(forgotten <= tile - ${(group.delayMs + finite) / group.hopMs}, true)`
  })
  // A run ends at a tile that does not match as a whole; without a delay the read would cut the newest tile.
  const hasCutRun = groups.some((group) => group.delayMs === 0 && runsOf(group).length > 0)
  return ['odd_id IS NULL', ...reads, ...(hasCutRun ? ['false'] : [])].join(' AND ')
}

/** Adds what runs need of whole tiles, in a pass of its own. */
function tilesSql(source: string, { ofTiles }: Totals): string {
  if (ofTiles.size === 0) return source
  const tileEnd = `(${ranks - 1n} - rank) FOLLOWING`
  return `(SELECT *, ${columnsSql(ofTiles)} FROM ${source}
    WINDOW in_tile AS (${byIncarnation} RANGE BETWEEN rank PRECEDING AND ${tileEnd}),
      until_tile AS (${byIncarnation} RANGE BETWEEN UNBOUNDED PRECEDING AND ${tileEnd}))`
}

/** Adds the tiles of the previous and the next observation of the same value. */
function neighboursSql(source: string, { neighbours }: Totals): string {
  const all = [...neighbours.values()]
  if (all.length === 0) return source
  const columns = all.map(
    ({ name }) => `lag(tile) OVER ${name} AS ${name}_before, lead(tile) OVER ${name} AS ${name}_after`,
  )
  const windows = all.map(
    ({ name, partition }) => `${name} AS (PARTITION BY id, incarnation, ${partition} ORDER BY place)`,
  )
  return `(SELECT *, ${columns.join(', ')} FROM ${source} WINDOW ${windows.join(', ')})`
}

/** Adds the running totals. A read at an observation's place comes before it, and changes no total. */
function runningSql(source: string, { running }: Totals): string {
  if (running.size === 0) return source
  return `(SELECT *, ${columnsSql(running)} FROM ${source}
    WINDOW before_it AS (${byIncarnation}, counted ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))`
}

/**
 * Adds the totals at the first entry from each edge on, the read itself at the latest; the greatest sequence number in
 * the longest frame; and the cells that are no difference of totals.
 */
function windowsSql(
  source: string,
  groups: readonly ReadGroup[],
  totals: Totals,
  column: ColumnOf,
  flagOf: FlagOf,
): string {
  const edges = [...totals.edges].sort(([a], [b]) => a - b)
  const found = edges.map(([ms, names]) => {
    const structure = [...names].map((name) => `'${name}': ${name}`).join(', ')
    return `first_value({${structure}}) OVER from_${ms} AS ${edgeName(ms)}`
  })
  const newest = groups.flatMap((group) => {
    const frame = frameName(group, longestOf(group))
    return totals.newest.has(group) ? [] : [`max(sequence) FILTER (counted) OVER ${frame} AS ${group.name}_newest`]
  })
  const cells = groups.flatMap((group) =>
    [...cellsOf(group)].flatMap(([name, { slot, window }]) => {
      const over = `FILTER (${flagOf(slot.source)}) OVER ${frameName(group, window)}`
      return totals.cells.has(name) ? [] : [`${cellSql(slot, column, '', over)} AS ${name}`]
    }),
  )
  const [{ hopMs } = { hopMs: 1 }] = groups
  const windows = [
    ...edges.map(
      ([ms]) => `from_${ms} AS (${byIncarnation} RANGE BETWEEN ${backSql(ms, hopMs)} PRECEDING AND CURRENT ROW)`,
    ),
    ...groups.flatMap((group) => group.windowsMs.filter(Number.isFinite).map((window) => frameSql(group, window))),
  ]
  const columns = [...found, ...newest, ...cells]
  if (columns.length === 0) return source
  return `(SELECT *, ${columns.join(',\n      ')}
    FROM ${source}
    WINDOW ${windows.join(',\n      ')})`
}

const frameSql = (group: ReadGroup, window: number) =>
  `${frameName(group, window)} AS (${byIncarnation} RANGE BETWEEN ${startSql(group, window)} AND ${endSql(group)})`

const columnsSql = (columns: ReadonlyMap<string, string>) =>
  [...columns].map(([name, sql]) => `${sql} AS ${name}`).join(',\n      ')

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
