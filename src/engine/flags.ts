import { itemAt } from '../base/arrays.ts'
import type { EntityPlan } from './plan.ts'

/**
 * What a reader must know about a value. `incomplete`: the feature is younger than the state, and the history in its
 * window has not been added yet. `truncated`: the entity has more tiles than its limit, and the window reaches into
 * those that were dropped. `saturated`: a distinct count at its cap; the value is "at least".
 */
export const flagKinds = ['incomplete', 'truncated', 'saturated'] as const
export type FlagKind = (typeof flagKinds)[number]

export interface FeatureFlag {
  /** Index into the entity's features. */
  readonly feature: number
  readonly flag: FlagKind
}

/** By feature name. */
export type NamedFlags = Readonly<Record<string, FlagKind>>

/** Flags for readers, in the order of the plan, added to `before`; null while there are none. */
export function namedFlags(
  plan: Pick<EntityPlan, 'features'>,
  flags: readonly FeatureFlag[],
  before: NamedFlags | null = null,
): NamedFlags | null {
  if (flags.length === 0) return before
  const named: Record<string, FlagKind> = { ...before }
  for (const { feature, flag } of flags) named[itemAt(plan.features, feature).name] = flag
  return named
}
