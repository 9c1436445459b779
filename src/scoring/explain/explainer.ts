import type { FeatureStats } from './reason.ts'
import type { ScoreExplainer } from './score-explainer.ts'

/** Explains what a model answers. Everything is by element of its vector, in the explainer's unit. */
export interface Explainer extends ScoreExplainer {
  readonly features: readonly string[]
  /** Over the model's training data; null where it does not say. */
  readonly stats: readonly (FeatureStats | null)[]
}

/**
 * Why a model cannot be explained: it is no tree ensemble; its trees have no covers, which `models register` counts;
 * what is between the trees and the score is not followed; the trees take too much memory; or what was read gives other
 * scores.
 */
export const unexplained = ['no_trees', 'no_covers', 'not_followed', 'too_large', 'not_reproduced'] as const
export type Unexplained = (typeof unexplained)[number]

export type Explanations =
  | { readonly kind: 'available'; readonly explainer: Explainer }
  | { readonly kind: 'unavailable'; readonly code: Unexplained; readonly reason: string }

/** The score that base and contributions explain. */
export function scoreOf({ base, unit }: Pick<Explainer, 'base' | 'unit'>, contributions: ArrayLike<number>): number {
  let sum = base
  for (let i = 0; i < contributions.length; i += 1) sum += contributions[i] ?? NaN
  return unit === 'probability' ? sum : 1 / (1 + Math.exp(-sum))
}
