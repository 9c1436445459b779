import type { RequestValues } from '../core/expression.ts'
import { durationMs } from '../core/units.ts'
import { forgottenTile, tileOf } from '../core/window.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import type { View } from '../define/view.ts'
import { horizonMs } from './horizon.ts'
import { referenceExpression } from './reference-expression.ts'
import { referenceFeatures, type ReferenceObservation } from './reference.ts'

export type NamedValues = Readonly<Record<string, number | null>>

/** One life of one entity, told in sequence order: read as an event, then apply it. */
export interface LifeEvaluator {
  /** The entity's features at `timeMs`, for the event that takes `sequence`: what was applied so far. */
  read(sequence: number, timeMs: number): NamedValues
  /** Answers whether the state still took it. */
  apply(observation: ReferenceObservation): 'applied' | 'too_late'
}

/** Recomputes features from observations, without any state of the engine. */
export interface FeatureEvaluator {
  /** Fields of an event's data that the definitions look at. */
  readonly fields: readonly string[]
  begin(entity: string, born: number): LifeEvaluator
  /** The derived features, from the aggregated ones and the payment itself. */
  derived(aggregated: NamedValues, request: RequestValues): NamedValues
}

/** Forgotten observations are dropped when the list has grown by this factor since. */
const pruneGrowth = 2
const pruneFrom = 64

/** The evaluator over {@link referenceFeatures}: the window semantics as they are written down. */
export function createReferenceEvaluator(set: FeatureSet): FeatureEvaluator {
  const slots = set.views.flatMap((view) => view.aggregates.flatMap((aggregate) => aggregate.slots))
  const fields = slots.flatMap(({ source, column }) => [
    ...(column === null ? [] : [source.columns[column] ?? column]),
    ...source.where.map(({ field }) => field),
  ])
  const views = new Map(set.entities.map(({ name }) => [name, set.views.filter((view) => view.entity.name === name)]))
  return {
    fields: [...new Set(fields)],
    begin: (entity, born) => beginLife(set, entity, views.get(entity) ?? [], born),
    derived(aggregated, request) {
      const values: Record<string, number | null> = { ...aggregated }
      const derived: Record<string, number | null> = {}
      // In the order of definition: a derived feature reads only those before it.
      for (const { name, expression } of set.derived) {
        const value = referenceExpression(expression.tree, values, request)
        values[name] = value
        derived[name] = value
      }
      return derived
    },
  }
}

/**
 * Keeps what a later read can still see. Leaving out the rest changes no answer: an observation is forgotten by the
 * newest one before the read (M − H), and M only grows; one in a tile that every view has forgotten stays forgotten.
 * The newest observation, which M is made of, is never in a forgotten tile. A lifetime window sees everything.
 */
function beginLife(set: FeatureSet, entity: string, views: readonly View[], born: number): LifeEvaluator {
  const horizon = horizonMs(views)
  const hops = views.map((view) => durationMs(view.hop))
  const fed = views.map((view) => new Set(view.aggregates.flatMap((a) => a.slots.map((s) => s.source.eventType))))
  let kept: ReferenceObservation[] = []
  let newestMs = -Infinity
  let pruneAt = views.some((view) => view.windows.includes('lifetime')) ? Infinity : pruneFrom

  const isForgotten = (timeMs: number, hopMs: number) =>
    tileOf(timeMs, hopMs) <= forgottenTile(newestMs, horizon, hopMs)

  return {
    read: (sequence, timeMs) => referenceFeatures(set, entity, kept, { sequence, born, timeMs }),
    apply(observation) {
      const { eventType, timeMs } = observation
      if (!fed.some((types) => types.has(eventType))) return 'applied'
      newestMs = Math.max(newestMs, timeMs)
      kept.push(observation)
      if (kept.length >= pruneAt) {
        kept = kept.filter((o) => hops.some((hop) => !isForgotten(o.timeMs, hop)))
        pruneAt = Math.max(pruneFrom, kept.length * pruneGrowth)
      }
      const isLate = hops.some((hop, i) => fed[i]?.has(eventType) === true && isForgotten(timeMs, hop))
      return isLate ? 'too_late' : 'applied'
    },
  }
}
