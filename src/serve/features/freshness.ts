import type { EntityFeatures } from './feature-reader.ts'

/** The statuses of Feast's online API, which clients know. */
export const featureStatuses = ['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE'] as const
export type FeatureStatus = (typeof featureStatuses)[number]

/**
 * Up to here the state remembers, in milliseconds UTC: what is older than the newest observation by the horizon or
 * more is forgotten. null when there is no state.
 */
export function remembersFromMs(entity: EntityFeatures, horizonMs: number): number | null {
  return entity.newestTimeMs === null ? null : entity.newestTimeMs - horizonMs
}

/** True when a window that ends at `atMs` lies in what the state has forgotten: empty would be a lie. */
export function isForgotten(entity: EntityFeatures, horizonMs: number, atMs: number): boolean {
  const from = remembersFromMs(entity, horizonMs)
  return from !== null && atMs < from
}

export function featureStatus(found: boolean, forgotten: boolean, value: number | null): FeatureStatus {
  if (!found) return 'NOT_FOUND'
  if (forgotten) return 'OUTSIDE_MAX_AGE'
  return value === null ? 'NULL_VALUE' : 'PRESENT'
}
