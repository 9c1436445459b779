import type { Unexplained } from '../scoring/explain/explainer.ts'
import type { FeatureManifest } from '../engine/feature-set.ts'
import type { ServicePlan } from '../engine/plan.ts'
import { createReasonWriter, type Reason } from '../scoring/explain/reason.ts'
import type { Scorer } from '../ports/scorer.ts'

/**
 * Why an event got its score, or why the model cannot say; null where nobody asks it. `vector` is what the model took,
 * `values` all values of the service. A function of the arguments and the definitions, so that a replay says the same (I2).
 */
export type Explain = (
  scorer: Scorer,
  vector: Float32Array,
  values: readonly (number | null)[],
) => Reason[] | Unexplained | null

export function createExplain(
  { names, vector: elements }: Pick<ServicePlan, 'names' | 'vector'>,
  features: readonly FeatureManifest[],
): Explain {
  const write = createReasonWriter(
    elements.map((index) => names[index] ?? ''),
    features,
  )
  return ({ explanations }, vector, values) => {
    if (explanations === undefined) return null
    if (explanations.kind === 'unavailable') return explanations.code
    const { explainer } = explanations
    return write({
      contributions: explainer.contributions(vector),
      values: elements.map((index) => values[index] ?? NaN),
      stats: explainer.stats,
    })
  }
}
