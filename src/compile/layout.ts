import type { StateLayout } from '../engine/states.ts'
import { canonicalJson, hash32 } from './hash.ts'

/** What a blob names. */
export function layoutHash(layout: StateLayout): number {
  return hash32(canonicalJson(layout))
}
