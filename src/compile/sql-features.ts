import { windowMs } from '../core/units.ts'
import type { Aggregate, SlotDefinition } from '../define/aggregate.ts'
import { featureName, type View } from '../define/view.ts'
import { fieldOf, slotId } from './slots.ts'
import { conditionSql, nameSql, tileSql } from './sql-text.ts'

/** The views of one hop and delay: one join serves all of their windows. */
export interface ReadGroup {
  readonly name: string
  readonly hopMs: number
  readonly delayMs: number
  /** Ascending; a lifetime is infinite and last. */
  readonly windowsMs: readonly number[]
  readonly views: readonly View[]
}

type ColumnOf = (field: string) => string

export function slotsOf(view: Pick<View, 'aggregates'>): readonly SlotDefinition[] {
  return view.aggregates.flatMap((aggregate) => aggregate.slots)
}

interface Cell {
  readonly slot: SlotDefinition
  readonly window: number
}

/** Every slot of every window, each once. */
function cellsOf(group: ReadGroup): ReadonlyMap<string, Cell> {
  const cells = new Map<string, Cell>()
  for (const view of group.views) {
    for (const { kind, slots } of view.aggregates) {
      if (kind === 'run') continue
      for (const slot of slots) {
        for (const window of view.windows)
          cells.set(cellName(group, slot, windowMs(window)), { slot, window: windowMs(window) })
      }
    }
  }
  return cells
}

function cellName(group: ReadGroup, slot: SlotDefinition, window: number): string {
  const ids = [...new Set(group.views.flatMap(slotsOf).map(slotId))]
  return `s${ids.indexOf(slotId(slot))}_w${group.windowsMs.indexOf(window)}`
}

/** The last tile of a group's windows, and the one before the first of each. */
const endSql = ({ delayMs, hopMs }: ReadGroup) => tileSql(`r.time_ms - ${delayMs}`, hopMs)
const startSql = ({ delayMs, hopMs }: ReadGroup, window: number) => tileSql(`r.time_ms - ${delayMs + window}`, hopMs)

/** What was observed before a read, and is in the longest window: comparisons only, so that it stays a hash join. */
function insideSql(group: ReadGroup, longest: number): string {
  const finite = `o.tile <= r.window_end AND o.tile > coalesce(r.forgotten, -9223372036854775807)`
  const reach =
    longest === Infinity
      ? 'o.tile <= greatest(r.window_end, r.forgotten)'
      : `${finite} AND o.tile > r.start_${group.windowsMs.indexOf(longest)}`
  return `o.id = r.id AND o.born = r.born AND o.sequence < r.sequence AND ${reach}`
}

function boundsSql(group: ReadGroup): string {
  const starts = group.windowsMs.flatMap((window, i) =>
    window === Infinity ? [] : [`${startSql(group, window)} AS start_${i}`],
  )
  return `(SELECT r.*, ${[`${endSql(group)} AS window_end`, ...starts].join(', ')} FROM asked_${group.hopMs} r) r`
}

const appliedSql = ({ hopMs }: ReadGroup) =>
  `(SELECT * FROM told_${hopMs} WHERE forgotten IS NULL OR tile > forgotten) o`

function windowSql(group: ReadGroup, window: number): string {
  if (window === Infinity) return 'true'
  const start = `o.tile > r.start_${group.windowsMs.indexOf(window)}`
  if (group.windowsMs.at(-1) !== Infinity) return start
  return `${start} AND o.tile <= r.window_end AND o.tile > coalesce(r.forgotten, -9223372036854775807)`
}

/** One row per read, one column per slot and window. */
export function joinSql(group: ReadGroup, column: ColumnOf): string {
  const cells = [...cellsOf(group)].map(([name, { slot, window }]) => {
    const filter = `FILTER (${windowSql(group, window)} AND ${conditionSql(slot.source, column, 'o.')})`
    return `${cellSql(slot, column, filter)} AS ${name}`
  })
  return `SELECT r.read_id, any_value(r.time_ms) AS time_ms${cells.map((cell) => `,\n  ${cell}`).join('')}
FROM ${boundsSql(group)} LEFT JOIN ${appliedSql(group)} ON ${insideSql(group, group.windowsMs.at(-1) ?? 0)}
GROUP BY r.read_id`
}

function cellSql(slot: SlotDefinition, column: ColumnOf, filter: string): string {
  const field = fieldOf(slot.source, slot.column)
  const value = field === null ? '1' : `o.${column(field)}`
  switch (slot.kind) {
    case 'count':
      return `count(o.sequence) ${filter}`
    case 'sum':
      return `coalesce(sum(${value}) ${filter}, 0)::BIGINT`
    case 'square_sum':
      return `coalesce(sum(${value}::HUGEINT * ${value}) ${filter}, 0)::HUGEINT`
    case 'min':
      return `min(${value}) ${filter}`
    case 'max':
      return `max(${value}) ${filter}`
    case 'oldest_time':
      return `min(o.time_ms) ${filter}`
    case 'newest_time':
      return `max(o.time_ms) ${filter}`
    case 'oldest':
      return `min_by(${value}, o.moment, ${slot.size}) ${filter}`
    case 'newest':
      return `max_by(${value}, o.moment, ${slot.size}) ${filter}`
    case 'distinct':
      return `least(count(DISTINCT ${value}) ${filter}, ${slot.size})`
  }
}

const runName = (group: ReadGroup, view: View, aggregate: Aggregate) =>
  `run_${group.name}_${view.name}_${aggregate.name}`

/** For each window: how many of the newest observations, tile by tile, all match. */
export function runsSql(group: ReadGroup, column: ColumnOf): string[] {
  return group.views.flatMap((view) =>
    view.aggregates.flatMap((aggregate) => {
      const [matching, all] = aggregate.slots
      if (aggregate.kind !== 'run' || matching === undefined || all === undefined) return []
      return view.windows.map((window) => {
        const length = windowMs(window)
        const counts = `SELECT r.read_id, o.tile, count(*) FILTER (${conditionSql(matching.source, column, 'o.')}) AS matched,
    count(*) FILTER (${conditionSql(all.source, column, 'o.')}) AS total
  FROM ${boundsSql(group)} JOIN ${appliedSql(group)} ON ${insideSql(group, length)} GROUP BY ALL`
        const broken = 'max(CASE WHEN matched < total THEN tile END) OVER (PARTITION BY read_id)'
        return `${runName(group, view, aggregate)}_${window} AS (SELECT read_id,
  sum(total) FILTER (broken IS NULL OR tile > broken) AS run FROM (
  SELECT *, ${broken} AS broken FROM (${counts}) WHERE total > 0) GROUP BY read_id)`
      })
    }),
  )
}

/** Joins the groups and finalizes every feature. */
export function featuresSql(views: readonly View[], groups: readonly ReadGroup[]): string {
  const [first, ...others] = groups
  const columns = views.flatMap((view) => {
    const group = groups.find((candidate) => candidate.views.includes(view))
    if (group === undefined) throw new Error(`view ${view.name} is in no group`)
    return view.aggregates.flatMap((aggregate) =>
      view.windows.map((window) => {
        const sql =
          aggregate.kind === 'run'
            ? `coalesce(${runName(group, view, aggregate)}_${window}.run, 0)::BIGINT`
            : finalSql(group, aggregate, windowMs(window))
        return `${sql} AS ${nameSql(featureName(view.name, aggregate.name, window))}`
      }),
    )
  })
  const joins = others.map(({ name }) => `JOIN ${name} USING (read_id)`)
  const runs = groups.flatMap((group) =>
    group.views.flatMap((view) =>
      view.aggregates
        .filter(({ kind }) => kind === 'run')
        .flatMap((aggregate) =>
          view.windows.map((window) => `LEFT JOIN ${runName(group, view, aggregate)}_${window} USING (read_id)`),
        ),
    ),
  )
  return `SELECT read_id,\n  ${columns.join(',\n  ')}\nFROM ${[first?.name, ...joins, ...runs].join('\n')}`
}

function finalSql(group: ReadGroup, aggregate: Aggregate, window: number): string {
  const [first = '', second = '', third = ''] = aggregate.slots.map(
    (slot) => `${group.name}.${cellName(group, slot, window)}`,
  )
  switch (aggregate.kind) {
    case 'count':
    case 'sum':
    case 'min':
    case 'max':
    case 'distinct':
      return first
    case 'mean':
    case 'rate':
      return `CASE WHEN ${second} > 0 THEN ${first}::DOUBLE / ${second}::DOUBLE END`
    case 'first':
      return `${first}[1]`
    case 'last':
      return `${first}[${aggregate.position}]`
    case 'seconds_since_first':
    case 'seconds_since_last':
      return `CASE WHEN ${first} IS NOT NULL THEN greatest(0, ${group.name}.time_ms - ${first})::DOUBLE / 1000 END`
    case 'stddev':
      return deviationSql(first, second, third)
    case 'run':
      throw new Error('a run has a query of its own')
  }
}

/**
 * The exact numerator n·Σx² − (Σx)² becomes a double in two exact halves, so that it is rounded once: SQL's own cast of
 * a 128-bit integer rounds twice.
 */
function deviationSql(squares: string, sum: string, count: string): string {
  const numerator = `(${count} * ${squares} - ${sum}::HUGEINT * ${sum})`
  const half = '9007199254740992'
  const rounded = `((${numerator} // ${half})::BIGINT::DOUBLE * ${half}::DOUBLE + (${numerator} % ${half})::BIGINT::DOUBLE)`
  return `CASE WHEN ${count} > 1 THEN sqrt(${rounded} / (${count} * (${count} - 1))::DOUBLE) END`
}
