import type { FeatureStats } from './reason.ts'

/** Why a model answers what it does: exact SHAP values. Everything is by element of its vector, in log odds. */
export interface Explainer {
  readonly features: readonly string[]
  /** Over the model's training data; null where it does not say. */
  readonly stats: readonly (FeatureStats | null)[]
  /** What the model answers before it knows anything. */
  readonly base: number
  /** Base and contributions add up to the log odds of the score. Overwritten by the next call. */
  contributions(vector: Float32Array): Float64Array
}

/** `unavailable`: nothing exact can be said of this model, and why. */
export type Explanations =
  | { readonly kind: 'available'; readonly explainer: Explainer }
  | { readonly kind: 'unavailable'; readonly reason: string }

/** Base and contributions as the score they explain. */
export function probabilityOf(base: number, contributions: ArrayLike<number>): number {
  let sum = base
  for (let i = 0; i < contributions.length; i += 1) sum += contributions[i] as number
  return 1 / (1 + Math.exp(-sum))
}
