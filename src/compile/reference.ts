import { forgottenTile, tileOf, windowEndTile, windowStartTile } from '../core/window.ts'
import { durationMs } from '../core/units.ts'
import type { Aggregate, SlotDefinition } from '../define/aggregate.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import type { Condition } from '../define/source.ts'
import { featureName, type View } from '../define/view.ts'
import { horizonMs } from './horizon.ts'

/** An event as one entity saw it, with the sequence number it took there. Duplicates are not observations. */
export interface ReferenceObservation {
  readonly sequence: number
  readonly timeMs: number
  readonly eventType: string
  readonly data: Readonly<Record<string, unknown>>
}

/** A read: at event time `timeMs`, by the event with number `sequence`, in the life that began at `born`. */
export interface ReferenceRead {
  readonly sequence: number
  readonly born: number
  readonly timeMs: number
}

/**
 * The oracle: the window semantics as they are written down, evaluated by filtering every observation for every
 * feature. Shares no code with the engine but the tile arithmetic; slow on purpose.
 */
export function referenceFeatures(
  set: FeatureSet,
  entity: string,
  observations: readonly ReferenceObservation[],
  read: ReferenceRead,
): Record<string, number | null> {
  const views = set.views.filter((view) => view.entity.name === entity)
  const fed = new Set(views.flatMap((v) => v.aggregates.flatMap((a) => a.slots.map((s) => s.source.eventType))))
  const seen = observations
    .filter((o) => o.sequence >= read.born && o.sequence < read.sequence && fed.has(o.eventType))
    .sort((a, b) => a.sequence - b.sequence)
  const result: Record<string, number | null> = {}
  for (const view of views) {
    const remembered = applied(seen, durationMs(view.hop), horizonMs(views))
    for (const aggregate of view.aggregates) {
      for (const window of view.windows) {
        const isInside = windowOf(view, durationMs(window), read.timeMs)
        const inside = remembered.filter((o) => isInside(o.timeMs))
        result[featureName(view.name, aggregate.name, window)] = aggregateOf(aggregate, inside)
      }
    }
  }
  return result
}

/** What is left at the end of what the state was told: nothing that was too late, nothing forgotten since. */
function applied(seen: readonly ReferenceObservation[], hopMs: number, horizon: number): ReferenceObservation[] {
  const newest = seen.reduce((max, o) => Math.max(max, o.timeMs), -Infinity)
  const forgotten = forgottenTile(newest, horizon, hopMs)
  return seen.filter((o) => tileOf(o.timeMs, hopMs) > forgotten)
}

function windowOf(view: View, windowMs: number, readMs: number): (timeMs: number) => boolean {
  const [hop, delay] = [durationMs(view.hop), durationMs(view.delay)]
  const [start, end] = [windowStartTile(readMs, delay, windowMs, hop), windowEndTile(readMs, delay, hop)]
  return (timeMs) => {
    const tile = tileOf(timeMs, hop)
    return start < tile && tile <= end
  }
}

function aggregateOf(aggregate: Aggregate, inside: readonly ReferenceObservation[]): number | null {
  const [first, second] = aggregate.slots.map((slot) => slotOf(slot, inside))
  if (first === undefined) throw new Error(`aggregate ${aggregate.name} has no slot`)
  switch (aggregate.kind) {
    case 'count':
    case 'sum':
      return first
    case 'mean':
    case 'rate':
      return second === undefined || second === 0 ? null : first / second
  }
}

function slotOf(slot: SlotDefinition, inside: readonly ReferenceObservation[]): number {
  const { source, column } = slot
  const matching = inside.filter((o) => o.eventType === source.eventType && source.where.every((c) => meets(c, o.data)))
  if (slot.kind === 'count') return matching.length
  const field = column === null ? '' : (source.columns[column] ?? '')
  return matching.reduce((total, o) => total + Number(o.data[field]), 0)
}

function meets({ field, is, value }: Condition, data: Readonly<Record<string, unknown>>): boolean {
  const found = data[field] as number | string
  if (is === '==') return found === value
  if (is === '!=') return found !== value
  if (is === '<') return found < value
  if (is === '<=') return found <= value
  return is === '>' ? found > value : found >= value
}
