import { windowStartTile } from '../window.ts'
import type { EntityFeaturePlan, EntityPlan } from '../plan.ts'
import type { FeatureFlag, FlagKind } from '../flags.ts'
import { tableAt, type StateTiles } from './state.ts'
import type { TileTable } from '../tiles/tiles.ts'

const none: readonly FeatureFlag[] = []

/** The worst flag of each feature; `features` are the values read at `timeMs`. */
export function flagsOf(
  plan: EntityPlan,
  state: StateTiles,
  features: readonly (number | null)[],
  timeMs: number,
): readonly FeatureFlag[] {
  let flags: FeatureFlag[] | null = null
  const isWhole = hasEverything(state)
  if (isWhole && !plan.hasCaps) return none
  let i = -1
  for (const feature of plan.features) {
    i += 1
    if (isWhole && feature.cap === 0) continue
    const table = tableAt(state, feature.group)
    const flag = windowFlag(plan, feature, table, timeMs) ?? (isSaturated(feature, features[i]) ? 'saturated' : null)
    if (flag !== null) (flags ??= []).push({ feature: i, flag })
  }
  return flags ?? none
}

function hasEverything({ firstTiles, moreTiles }: StateTiles): boolean {
  return isWholeTable(firstTiles) && (moreTiles.length === 0 || moreTiles.every(isWholeTable))
}

function isWholeTable({ missingHistory, cappedTile }: TileTable): boolean {
  return missingHistory === null && cappedTile === null
}

function isSaturated({ cap }: EntityFeaturePlan, value: number | null | undefined): boolean {
  return cap > 0 && value === cap
}

function windowFlag(
  plan: EntityPlan,
  feature: EntityFeaturePlan,
  { missingHistory, cappedTile }: TileTable,
  timeMs: number,
): FlagKind | null {
  if (missingHistory === null && cappedTile === null) return null
  const { delayMs, windowMs, group, slots } = feature
  const start = windowStartTile(timeMs, delayMs, windowMs, plan.groups[group]?.hopMs ?? 1)
  if (missingHistory !== null && slots.some((slot) => start < (missingHistory[slot]?.tile ?? -Infinity)))
    return 'incomplete'
  // What a lifetime window reads of dropped tiles was merged, not lost.
  return cappedTile !== null && windowMs !== Infinity && start < cappedTile ? 'truncated' : null
}
