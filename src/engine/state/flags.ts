import { itemAt } from '../../base/arrays.ts'
import type { EntityFeaturePlan, EntityPlan } from '../plan.ts'
import { tableAt, type EntityState } from './state.ts'
import type { TileTable } from '../tiles/tiles.ts'
import { windowStartTile } from '../tiles/window.ts'

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

const none: readonly FeatureFlag[] = []

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

/** The worst that holds for each feature; `features` are the values read at `timeMs`. */
export function flagsOf(
  plan: EntityPlan,
  state: EntityState,
  features: readonly (number | null)[],
  timeMs: number,
): readonly FeatureFlag[] {
  let flags: FeatureFlag[] | null = null
  const isWhole = hasEverything(state)
  if (isWhole && !plan.hasCaps) return none
  for (let i = 0; i < plan.features.length; i += 1) {
    const feature = itemAt(plan.features, i)
    if (isWhole && feature.cap === 0) continue
    const table = tableAt(state, feature.group)
    const flag = windowFlag(plan, feature, table, timeMs) ?? (isSaturated(feature, features[i]) ? 'saturated' : null)
    if (flag !== null) (flags ??= []).push({ feature: i, flag })
  }
  return flags ?? none
}

function hasEverything({ firstTiles, moreTiles }: EntityState): boolean {
  return isWholeTable(firstTiles) && (moreTiles.length === 0 || moreTiles.every(isWholeTable))
}

function isWholeTable({ gaps, cappedTile }: TileTable): boolean {
  return gaps === null && cappedTile === null
}

function isSaturated({ cap }: EntityFeaturePlan, value: number | null | undefined): boolean {
  return cap > 0 && value === cap
}

function windowFlag(
  plan: EntityPlan,
  feature: EntityFeaturePlan,
  { gaps, cappedTile }: TileTable,
  timeMs: number,
): FlagKind | null {
  if (gaps === null && cappedTile === null) return null
  const { delayMs, windowMs, group, slots } = feature
  const start = windowStartTile(timeMs, delayMs, windowMs, plan.groups[group]?.hopMs ?? 1)
  if (gaps !== null && slots.some((slot) => start < (gaps[slot]?.tile ?? -Infinity))) return 'incomplete'
  // What a lifetime window reads of dropped tiles was merged, not lost.
  return cappedTile !== null && windowMs !== Infinity && start < cappedTile ? 'truncated' : null
}
