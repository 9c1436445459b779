/** The questions of this benchmark; each can be asked alone. */
export const growthParts = ['entities', 'days', 'partitions', 'hot', 'wide'] as const
export type GrowthPart = (typeof growthParts)[number]

export interface GrowthSizes {
  readonly parts: readonly GrowthPart[]
  readonly entities: readonly number[]
  readonly days: readonly number[]
  readonly partitions: readonly number[]
}

export const growthSizes: GrowthSizes = {
  parts: growthParts,
  entities: [10_000, 100_000, 1_000_000],
  days: [1, 10, 60],
  partitions: [1, 4, 16, 64],
}
/** Sizes that only show that it runs. */
export const shortGrowthSizes: GrowthSizes = {
  parts: ['entities', 'wide'],
  entities: [50, 500],
  days: [1],
  partitions: [2],
}
