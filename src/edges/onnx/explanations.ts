import { probabilityOf, type Explainer, type Explanations } from '../../core/explainer.ts'
import { createTreeShap } from '../../core/tree-shap.ts'
import type { ModelManifest } from './manifest.ts'
import { readTrees } from './tree-ensemble.ts'

/** Float32 scores of float32 sums: what a right reading differs by at most. */
const differenceMax = 1e-5

/**
 * What can be said of the scores of a model, from its bytes. Available only when base and contributions of every golden
 * vector are the score that the manifest promises: a wrong reading of the trees does not explain anything.
 */
export function explanationsOf(model: Uint8Array, manifest: ModelManifest): Explanations {
  const found = readTrees(model, manifest)
  if (found.kind === 'unavailable') return found
  const { features, featureStats = {}, golden } = manifest
  const explainer: Explainer = {
    ...createTreeShap(found.ensemble),
    features,
    stats: features.map((name) => (Object.hasOwn(featureStats, name) ? (featureStats[name] ?? null) : null)),
  }
  for (const [row, vector] of golden.vectors.entries()) {
    const score = probabilityOf(explainer.base, explainer.contributions(Float32Array.from(vector)))
    const difference = Math.abs(score - (golden.scores[row] ?? NaN))
    if (!(difference <= differenceMax)) {
      return {
        kind: 'unavailable',
        reason: `the trees as they are read differ by ${difference} in golden vector ${row}`,
      }
    }
  }
  return { kind: 'available', explainer }
}
