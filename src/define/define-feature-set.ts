import type { FeatureSet } from './feature-set.ts'
import { checkFeatureSet } from './checks/feature-set-checks.ts'

/** Throws one sentence on a mistake. */
export function defineFeatureSet(set: FeatureSet): FeatureSet {
  checkFeatureSet(set)
  return Object.freeze(set)
}
