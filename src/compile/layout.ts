import type { StateLayout } from '../engine/state-codec/state-layout.ts'
import { canonicalJson, hash32 } from './hash.ts'

/** What a blob names. */
export function layoutHash(layout: StateLayout): number {
  return hash32(canonicalJson(layout))
}
