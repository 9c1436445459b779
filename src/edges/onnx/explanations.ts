import { scoreOf, type Explainer, type Explanations, type Unexplained } from '../../scoring/explain/explainer.ts'
import { createScoreExplainer, explainerSize } from '../../scoring/explain/score-explainer.ts'
import type { ScoreFormula, ScoreTerm, TreeForest } from '../../scoring/explain/score-formula.ts'
import { isCovers } from '../../scoring/explain/tree-covers.ts'
import type { Adaptation } from './adaptation.ts'
import type { ModelManifest } from './manifest.ts'
import { readScore, type ReadScore } from './trees/read-score.ts'

/** The largest difference of a right reading: scores are float32 of float32 sums. */
const differenceMax = 1e-5
/** Memory that trees may take when they are arranged for explanations, in doubles: 128 MB. */
const doublesMax = 16 * 1024 * 1024

/** By forest of the model, in the order of the file: the cover of each node, in pre-order. */
export type ForestCovers = readonly (readonly number[])[]

/**
 * Builds the explainer of a model's scores from its bytes and, if these have no covers, from those counted at its
 * registration. Available only when base and contributions of every golden vector add up to the score that the manifest
 * promises: a wrong reading of the trees explains nothing.
 */
export function explanationsOf(
  adaptation: Adaptation,
  manifest: ModelManifest,
  counted: ForestCovers | null = null,
): Explanations {
  const { features, featureStats = {}, golden, probability, name, version } = manifest
  const read = readScore(adaptation, { width: features.length, column: probability.column })
  if (read.kind === 'unavailable') return read
  const formula = covered(read, counted)
  if (formula === null) {
    if (counted !== null) return unavailable('no_covers', 'the covers that were counted are not of these trees')
    const how = `riverbank models register ${name}/${version} counts them over the scored events of the lake`
    return unavailable('no_covers', `the trees have no covers: ${how}`)
  }
  const doubles = explainerSize(formula, features.length)
  if (doubles > doublesMax) {
    return unavailable('too_large', `the trees are too large: ${doubles} numbers, at most ${doublesMax}`)
  }
  const explainer: Explainer = {
    ...wholeTaking(createScoreExplainer(formula, features.length), read.whole),
    features,
    stats: features.map((name) => (Object.hasOwn(featureStats, name) ? (featureStats[name] ?? null) : null)),
  }
  for (const [row, vector] of golden.vectors.entries()) {
    const score = scoreOf(explainer, explainer.contributions(Float32Array.from(vector)))
    const difference = Math.abs(score - (golden.scores[row] ?? NaN))
    if (!(difference <= differenceMax)) {
      return unavailable('not_reproduced', `the trees as they are read differ by ${difference} in golden vector ${row}`)
    }
  }
  return { kind: 'available', explainer }
}

function unavailable(code: Unexplained, reason: string): Explanations {
  return { kind: 'unavailable', code, reason }
}

/** The formula with covers for every forest, null if some are missing. */
function covered({ formula, forests }: ReadScore, counted: ForestCovers | null): ScoreFormula | null {
  const found = new Map<TreeForest, TreeForest>()
  for (const [i, forest] of forests.entries()) {
    const cover = counted?.[i] === undefined ? forest.cover : Float64Array.from(counted[i])
    if (cover === null || !isCovers(forest, cover, 0.01)) return null
    found.set(forest, { ...forest, cover })
  }
  const changed = (one: ScoreFormula): ScoreFormula => ({ ...one, terms: one.terms.map(term) })
  const term = (one: ScoreTerm): ScoreTerm =>
    one.kind === 'leaves' ? { ...one, forest: found.get(one.forest) ?? one.forest } : { ...one, of: changed(one.of) }
  return changed(formula)
}

/** Truncates the elements of which the model takes the whole part only. */
function wholeTaking<Of extends Pick<Explainer, 'contributions'>>(explainer: Of, whole: readonly number[]): Of {
  if (whole.length === 0) return explainer
  const contributions = (vector: Float32Array) => {
    const taken = vector.slice()
    for (const element of whole) taken[element] = Math.trunc(taken[element] ?? NaN)
    return explainer.contributions(taken)
  }
  return { ...explainer, contributions }
}
