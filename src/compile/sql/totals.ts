import { windowMs } from '../../base/units.ts'
import type { Aggregate, SlotDefinition } from '../../define/aggregate.ts'
import type { View } from '../../define/view.ts'
import { cellSql, cellsOf, longestOf, runCell, valueSql, type ColumnOf, type ReadGroup } from './cells.ts'
import { conditionSql } from './text.ts'

/** The conditions of observations, each a column. */
export type FlagOf = (source: SlotDefinition['source']) => string

/**
 * Running totals over the entries of one hop, from the first of their incarnation on: a window is the difference of
 * two. Collects the SQL that `frames.ts` assembles.
 */
export class Totals {
  /** By name, the SQL over all entries before this one in its incarnation, on the line. */
  readonly running = new Map<string, string>()
  /** By milliseconds before the read, the totals to look up there. */
  readonly edges = new Map<number, Set<string>>()
  /** By column, what a read computes from the totals. */
  readonly cells = new Map<string, string>()
  /** The greatest sequence number that a read of the group covers, where the longest window is a lifetime. */
  readonly newest = new Map<ReadGroup, string>()
  /** Columns that every entry needs beside it: its neighbours of the same value, and what runs need of whole tiles. */
  readonly neighbours = new Map<string, { readonly partition: string; readonly name: string }>()
  readonly ofTiles = new Map<string, string>()

  /** The total of all entries before the window's edge, so many milliseconds before the read. */
  at(ms: number, sql: string): string {
    const known = [...this.running].find(([, other]) => other === sql)?.[0]
    const name = known ?? `total_${this.running.size}`
    this.running.set(name, sql)
    if (ms === 0) return name
    const edge = this.edges.get(ms) ?? new Set()
    this.edges.set(ms, edge.add(name))
    return `${edgeName(ms)}.${name}`
  }

  neighbourOf(partition: string): string {
    const name = this.neighbours.get(partition)?.name ?? `same_${this.neighbours.size}`
    this.neighbours.set(partition, { partition, name })
    return name
  }
}

export const edgeName = (ms: number) => `edge_${ms}`

/**
 * Collects what is a difference of totals: counts, sums, distinct values, runs, the newest time. Least and greatest
 * values and lists need the frame itself, unless the window is a lifetime, which is one total.
 */
export function totalsOf(groups: readonly ReadGroup[], column: ColumnOf, flagOf: FlagOf): Totals {
  const totals = new Totals()
  for (const group of groups) {
    for (const [name, { slot, window }] of cellsOf(group)) {
      const sql = cellOfTotals(totals, group, slot, window, column, flagOf)
      if (sql !== null) totals.cells.set(name, sql)
    }
    if (longestOf(group) === Infinity) {
      totals.newest.set(group, totals.at(group.delayMs, 'max(sequence) FILTER (counted) OVER before_it'))
    }
    if (group.delayMs === 0) continue
    for (const { view, aggregate, window } of runsOf(group)) {
      totals.cells.set(
        runCell(group, view, aggregate, window),
        runOfTotals(totals, group, view, aggregate, window, flagOf),
      )
    }
  }
  return totals
}

export function runsOf({ views }: ReadGroup) {
  return views.flatMap((view) =>
    view.aggregates
      .filter(({ kind }) => kind === 'run')
      .flatMap((aggregate) => view.windows.map((window) => ({ view, aggregate, window: windowMs(window) }))),
  )
}

function cellOfTotals(
  totals: Totals,
  { delayMs, hopMs }: ReadGroup,
  slot: SlotDefinition,
  window: number,
  column: ColumnOf,
  flagOf: FlagOf,
): string | null {
  const value = valueSql(slot, column)
  const flag = flagOf(slot.source)
  const over = `FILTER (${flag}) OVER before_it`
  const end = (sql: string) => totals.at(delayMs, sql)
  const within = (sql: string) =>
    window === Infinity ? end(sql) : `(${end(sql)} - ${totals.at(delayMs + window, sql)})`
  switch (slot.kind) {
    case 'count':
      return within(`count(sequence) ${over}`)
    case 'sum':
      return `${within(`coalesce(sum(${value}) ${over}, 0)`)}::BIGINT`
    case 'square_sum':
      return `${within(`coalesce(sum(${value}::HUGEINT * ${value}) ${over}, 0)`)}::HUGEINT`
    case 'newest_time': {
      // The newest entry before the end is the window's newest, or the window is empty.
      const newest = end(`max(time_ms) ${over}`)
      if (window === Infinity) return newest
      return `CASE WHEN ${newest} >= (tile - ${(delayMs + window) / hopMs - 1}) * ${hopMs} THEN ${newest} END`
    }
    case 'distinct':
      return `least(${distinctOfTotals(totals, { delayMs, hopMs }, `${flag}, ${value}`, { flag, value, window })}, ${slot.size})`
    default:
      return window === Infinity ? end(cellSql(slot, column, '', over)) : null
  }
}

/**
 * Counts values without an equal one within a window's length before. Where that equal one is before the window, the
 * second total leaves it out, which gives the value back.
 */
function distinctOfTotals(
  totals: Totals,
  { delayMs, hopMs }: Pick<ReadGroup, 'delayMs' | 'hopMs'>,
  partition: string,
  { flag, value, window }: { readonly flag: string; readonly value: string; readonly window: number },
): string {
  const same = totals.neighbourOf(partition)
  const count = (isApart: string) =>
    `count(sequence) FILTER (${isApart} AND ${flag} AND ${value} IS NOT NULL) OVER before_it`
  if (window === Infinity) return totals.at(delayMs, count(`${same}_before IS NULL`))
  const apart = (tiles: string) => count(`coalesce(${tiles} >= ${window / hopMs}, true)`)
  const first = totals.at(delayMs, apart(`tile - ${same}_before`))
  const last = totals.at(delayMs + window, apart(`${same}_after - tile`))
  return `${first} - ${last}`
}

/** Counts entries after the last tile that does not match as a whole. */
function runOfTotals(
  totals: Totals,
  group: ReadGroup,
  view: View,
  aggregate: Aggregate,
  window: number,
  flagOf: FlagOf,
): string {
  const [matching, all] = aggregate.slots.map(({ source }) => flagOf(source))
  const name = `${group.name}_${view.name}_${aggregate.name}`
  totals.ofTiles.set(`${name}_until`, `count(*) FILTER (${all}) OVER until_tile`)
  totals.ofTiles.set(
    `${name}_broken`,
    `count(*) FILTER (${matching}) OVER in_tile < count(*) FILTER (${all}) OVER in_tile`,
  )
  const count = `count(sequence) FILTER (${all}) OVER before_it`
  const broken = `coalesce(max(${name}_until) FILTER (${all} AND ${name}_broken) OVER before_it, 0)`
  const [total, last] = [totals.at(group.delayMs, count), totals.at(group.delayMs, broken)]
  const start = window === Infinity ? '0' : totals.at(group.delayMs + window, count)
  return `${total} - greatest(${last}, ${start})`
}

export function conditionsOf(groups: readonly ReadGroup[], column: ColumnOf): readonly string[] {
  const slots = groups.flatMap(({ views }) => views.flatMap(({ aggregates }) => aggregates.flatMap((a) => a.slots)))
  return [...new Set(slots.map(({ source }) => conditionSql(source, column)))]
}
