import { identifier } from '../../base/sql.ts'
import { windowMs } from '../../base/units.ts'
import type { Aggregate } from '../../define/aggregate.ts'
import { featureName, type View } from '../../define/view.ts'
import { cellName, runCell, type ReadGroup } from './cells.ts'

/** A relation with one row per read and the columns of these groups. */
export interface CellsOfHop {
  readonly name: string
  readonly groups: readonly ReadGroup[]
}

/** Joins the hops and finalizes every feature. */
export function featuresSql(views: readonly View[], hops: readonly CellsOfHop[]): string {
  const [first, ...others] = hops
  const columns = views.flatMap((view) => {
    const hop = hops.find(({ groups }) => groups.some((group) => group.views.includes(view)))
    const group = hop?.groups.find((candidate) => candidate.views.includes(view))
    if (hop === undefined || group === undefined) throw new Error(`view ${view.name} is in no group`)
    return view.aggregates.flatMap((aggregate) =>
      view.windows.map((window) => {
        const sql = finalSql(hop.name, group, view, aggregate, windowMs(window))
        return `${sql} AS ${identifier(featureName(view.name, aggregate.name, window))}`
      }),
    )
  })
  const joins = others.map(({ name }) => `JOIN ${name} USING (read_id)`)
  return `SELECT read_id,\n  ${columns.join(',\n  ')}\nFROM ${[first?.name, ...joins].join('\n')}`
}

function finalSql(cells: string, group: ReadGroup, view: View, aggregate: Aggregate, window: number): string {
  const [first = '', second = '', third = ''] = aggregate.slots.map(
    (slot) => `${cells}.${cellName(group, slot, window)}`,
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
      return `CASE WHEN ${first} IS NOT NULL THEN greatest(0, ${cells}.time_ms - ${first})::DOUBLE / 1000 END`
    case 'stddev':
      return deviationSql(first, second, third)
    case 'run':
      return `${cells}.${runCell(group, view, aggregate, window)}`
  }
}

/**
 * The exact numerator n·Σx² − (Σx)² becomes a double in two exact halves, so that it is rounded once: SQL's own cast of
 * a 128-bit integer rounds twice. It is not negative, so that shifting divides; a division of such integers is slow.
 */
function deviationSql(squares: string, sum: string, count: string): string {
  const numerator = `(${count} * ${squares} - ${sum}::HUGEINT * ${sum})`
  const rounded = `((${numerator} >> 53)::BIGINT::DOUBLE * 9007199254740992::DOUBLE + (${numerator} & 9007199254740991)::BIGINT::DOUBLE)`
  return `CASE WHEN ${count} > 1 THEN sqrt(${rounded} / (${count} * (${count} - 1))::DOUBLE) END`
}
