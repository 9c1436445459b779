import { forgottenTile, tileOf, windowEndTile, windowStartTile } from '../../engine/window.ts'
import { durationMs, windowMs } from '../../base/units.ts'
import type { Aggregate, SlotDefinition } from '../../define/aggregate.ts'
import type { FeatureSet } from '../../define/feature-set.ts'
import { isScalar, type Condition } from '../../define/source.ts'
import { featureName, type View } from '../../define/view.ts'
import { horizonMs } from '../horizon.ts'
import { referenceAggregate, type ReferenceValue } from './aggregate.ts'

/** An event at one entity, with the sequence number it took there. Duplicates are not observations. */
export interface ReferenceObservation {
  readonly sequence: number
  readonly timeMs: number
  /** The event's own time, which decides which label of a subject is the newest. */
  readonly eventTimeMs: number
  readonly eventType: string
  readonly data: Readonly<Record<string, unknown>>
}

/** A read at event time `timeMs`, by the event with number `sequence`, in one incarnation. */
export interface ReferenceRead {
  readonly sequence: number
  readonly incarnation: number
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
  const fed = fedTypes(set, views)
  const seen = observations
    .filter((o) => o.sequence >= read.incarnation && o.sequence < read.sequence && fed.has(o.eventType))
    .sort((a, b) => a.sequence - b.sequence)
  const result: Record<string, number | null> = {}
  for (const hop of new Set(views.map((view) => view.hop))) {
    const applied = applyInOrder(seen, views, durationMs(hop))
    const current = currentOnly(set, applied.applied)
    for (const view of views.filter((v) => durationMs(v.hop) === durationMs(hop))) {
      for (const window of view.windows) {
        const isInside = insideOf(view, windowMs(window), read.timeMs, applied.forgotten)
        const inside = current.filter(isInside)
        for (const aggregate of view.aggregates) {
          result[featureName(view.name, aggregate.name, window)] = valueOf(view, aggregate, inside, read.timeMs)
        }
      }
    }
  }
  return result
}

/** The event types that the views read; where a label is one of them, all label types. */
function fedTypes(set: FeatureSet, views: readonly View[]): ReadonlySet<string> {
  const types = views.flatMap(slotsOf).map((slot) => slot.source.eventType)
  const labels = set.events.filter(({ label }) => label !== undefined).map(({ type }) => type)
  return new Set(types.some((type) => labels.includes(type)) ? [...types, ...labels] : types)
}

/** Keeps each subject's newest label, of equally new ones the last. An event id is unique only within its aggregate. */
function currentOnly(set: FeatureSet, applied: readonly ReferenceObservation[]): ReferenceObservation[] {
  const owner = set.entities.find(({ partitionKey }) => partitionKey)?.keyFields ?? []
  const subjects = applied.map(({ eventType, data }) => {
    const label = set.events.find(({ type }) => type === eventType)?.label
    if (label === undefined) return null
    return JSON.stringify([...owner.map((field) => data[field]), label.subjectType, data[label.subjectField]])
  })
  return applied.filter((o, i) => {
    if (subjects[i] === null) return true
    const others = applied.filter((_, k) => k !== i && subjects[k] === subjects[i])
    return others.every((other) => {
      return other.eventTimeMs < o.eventTimeMs || (other.eventTimeMs === o.eventTimeMs && other.sequence < o.sequence)
    })
  })
}

interface AppliedHistory {
  /** The observations that were not too late when they came. */
  readonly applied: readonly ReferenceObservation[]
  /** The newest tile that is forgotten after the last of them. */
  readonly forgotten: number
}

/**
 * Applies observations to one hop's tiles, one after the other: each is too late or counts; then the tiles beyond the
 * horizon are forgotten, then the oldest tiles above the limit.
 */
function applyInOrder(seen: readonly ReferenceObservation[], views: readonly View[], hopMs: number): AppliedHistory {
  const [horizon, tilesMax] = [horizonMs(views), views[0]?.entity.tilesMax ?? 0]
  const slots = views.filter((view) => durationMs(view.hop) === hopMs).flatMap(slotsOf)
  const applied: ReferenceObservation[] = []
  let newestMs = -Infinity
  let forgotten = -Infinity
  for (const o of seen) {
    newestMs = Math.max(newestMs, o.timeMs)
    forgotten = Math.max(forgotten, forgottenTile(newestMs, horizon, hopMs))
    if (tileOf(o.timeMs, hopMs) <= forgotten) continue
    applied.push(o)
    if (applied.length <= tilesMax) continue
    const tiles = new Set(
      applied.filter((a) => slots.some((slot) => matches(slot, a))).map((a) => tileOf(a.timeMs, hopMs)),
    )
    const kept = [...tiles].filter((tile) => tile > forgotten).sort((a, b) => b - a)
    forgotten = Math.max(forgotten, kept[tilesMax] ?? -Infinity)
  }
  return { applied, forgotten }
}

/** Forgotten observations are outside every window but a lifetime's, which holds them at every read. */
function insideOf(
  view: View,
  lengthMs: number,
  readMs: number,
  forgotten: number,
): (observation: ReferenceObservation) => boolean {
  const [hop, delay] = [durationMs(view.hop), durationMs(view.delay)]
  const [start, end] = [windowStartTile(readMs, delay, lengthMs, hop), windowEndTile(readMs, delay, hop)]
  return ({ timeMs }) => {
    const tile = tileOf(timeMs, hop)
    if (tile <= forgotten) return lengthMs === Infinity
    return start < tile && tile <= end
  }
}

function valueOf(
  view: View,
  aggregate: Aggregate,
  inside: readonly ReferenceObservation[],
  readMs: number,
): number | null {
  const hop = durationMs(view.hop)
  const slots = aggregate.slots.map((slot): ReferenceValue[] =>
    inside
      .filter((o) => matches(slot, o))
      .map((o) => ({
        timeMs: o.timeMs,
        tile: tileOf(o.timeMs, hop),
        value: observedValue(slot, o.data),
      })),
  )
  return referenceAggregate(aggregate, slots, readMs)
}

function observedValue({ source, column }: SlotDefinition, data: ReferenceObservation['data']): number | string {
  if (column === null) return 1
  const value = data[source.columns[column] ?? '']
  const categories = source.categories[column]
  if (categories !== undefined) return categories.findIndex((one) => one === value)
  if (typeof value !== 'number' && typeof value !== 'string') throw new Error(`${column} is a number or a text`)
  return value
}

function slotsOf(view: View): readonly SlotDefinition[] {
  return view.aggregates.flatMap((aggregate) => aggregate.slots)
}

function matches({ source }: SlotDefinition, { eventType, data }: ReferenceObservation): boolean {
  return eventType === source.eventType && source.where.every((condition) => meets(condition, data))
}

function meets({ field, is, value }: Condition, data: Readonly<Record<string, unknown>>): boolean {
  const found = data[field] ?? null
  if (found === null) return false
  if (is === 'present') return true
  if (!isScalar(found)) return false
  if (typeof value === 'object') return value.some((one) => one === found)
  if (is === '==') return found === value
  if (is === '!=') return found !== value
  if (is === '<') return found < value
  if (is === '<=') return found <= value
  return is === '>' ? found > value : found >= value
}
