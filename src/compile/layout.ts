import type { StateLayout } from '../engine/states.ts'
import { canonicalJson, hash32 } from './hash.ts'

/** The hash by which a state's blob names its layout. */
export function layoutHash(layout: StateLayout): number {
  return hash32(canonicalJson(layout))
}
