import type { TileGroupPlan } from '../core/plan.ts'
import type { StateLayout } from '../core/state-layout.ts'
import { canonicalJson, hash32 } from './hash.ts'

export function stateLayout(
  entity: string,
  partitionKey: boolean,
  horizonMs: number,
  groups: readonly TileGroupPlan[],
): StateLayout {
  return {
    entity,
    partitionKey,
    horizonMs,
    groups: groups.map(({ hopMs, tilesMax, slots }) => ({
      hopMs,
      tilesMax,
      slots: slots.map(({ id, kind, size, lifetime }) => ({ id, kind, size, lifetime })),
    })),
  }
}

/** What a blob names. */
export function layoutHash(layout: StateLayout): number {
  return hash32(canonicalJson(layout))
}
