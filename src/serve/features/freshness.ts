import type { EntityFeatures } from './feature-reader.ts'

/** The statuses of Feast's online API, which clients know. */
export const featureStatuses = ['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE'] as const
export type FeatureStatus = (typeof featureStatuses)[number]

/**
 * The state remembers back to this time, in milliseconds UTC: it forgets what is older than its newest observation by
 * the horizon or more. null when there is no state.
 */
export function remembersFromMs(entity: EntityFeatures, horizonMs: number): number | null {
  return entity.newestTimeMs === null ? null : entity.newestTimeMs - horizonMs
}

/** True when the state has forgotten a window that ends at `atMs`: to answer an empty one would be wrong. */
export function isForgotten(entity: EntityFeatures, horizonMs: number, atMs: number): boolean {
  const from = remembersFromMs(entity, horizonMs)
  return from !== null && atMs < from
}

export function featureStatus(found: boolean, forgotten: boolean, value: number | null): FeatureStatus {
  if (!found) return 'NOT_FOUND'
  if (forgotten) return 'OUTSIDE_MAX_AGE'
  return value === null ? 'NULL_VALUE' : 'PRESENT'
}
