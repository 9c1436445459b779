import { doubleAt } from '../../base/arrays.ts'
import { assert } from '../../base/errors.ts'
import { logistic, logOddsOf, type ScoreFormula, type ScoreTerm, type TreeForest } from './score-formula.ts'
import type { TreeEnsemble } from './tree-ensemble.ts'
import { createTreeShap, type TreeShap } from './tree-shap.ts'
import { splitsSize } from './tree-splits.ts'

/** Explains a vector's score by the model's formula. */
export interface ScoreExplainer extends TreeShap {
  /** What base and contributions add up to: the score, or its log odds. */
  readonly unit: ContributionUnit
  readonly method: ContributionMethod
}

/** `log_odds`: of the score; `probability`: the score itself. */
export const contributionUnits = ['log_odds', 'probability'] as const
export type ContributionUnit = (typeof contributionUnits)[number]

/**
 * `exact`: SHAP values, because what the leaves say is only added up on the way to the unit. `propagated`: the SHAP
 * values of the trees below each logistic function (a calibration), stretched to the difference that they make to its
 * answer; they add up to the score as well, and within one function they keep their order (Chen, Lundberg and Lee 2022,
 * doi:10.1038/s41467-022-31384-3).
 */
export const contributionMethods = ['exact', 'propagated'] as const
export type ContributionMethod = (typeof contributionMethods)[number]

/** Every forest of the formula must have covers. Calls of the explainer may not overlap. */
export function createScoreExplainer(formula: ScoreFormula, width: number): ScoreExplainer {
  const logOdds = logOddsOf(formula)
  const isAdded = (logOdds ?? formula).terms.every(({ kind }) => kind === 'leaves')
  // A score bent more than once is explained in the unit that people know.
  const explained = isAdded ? (logOdds ?? formula) : formula
  const unit = isAdded && logOdds !== null ? 'log_odds' : 'probability'
  return { ...partOf(explained, width), unit, method: isAdded ? 'exact' : 'propagated' }
}

/** Doubles that {@link createScoreExplainer} makes of a formula, at most. */
export function explainerSize(formula: ScoreFormula, width: number): number {
  const below = formula.terms.map((term) => (term.kind === 'logistic' ? explainerSize(term.of, width) : 0))
  return splitsSize(sumOf(formula, width)) + below.reduce((sum, one) => sum + one, 0)
}

function partOf(formula: ScoreFormula, width: number): TreeShap {
  const trees = createTreeShap(sumOf(formula, width))
  const bent = formula.terms.flatMap((term) => (term.kind === 'logistic' ? [bentOf(term, width)] : []))
  if (bent.length === 0) return trees
  return {
    base: bent.reduce((sum, { base }) => sum + base, trees.base),
    contributions(vector) {
      const contributions = trees.contributions(vector)
      for (const part of bent) for (const [i, one] of part.contributions(vector).entries()) add(contributions, i, one)
      return contributions
    },
  }
}

function bentOf({ of, coefficient }: Extract<ScoreTerm, { kind: 'logistic' }>, width: number): TreeShap {
  const inside = partOf(of, width)
  const base = logistic(inside.base)
  return {
    base: coefficient * base,
    contributions(vector) {
      const contributions = inside.contributions(vector)
      const difference = contributions.reduce((sum, one) => sum + one, 0)
      const bent = logistic(inside.base + difference) - base
      const slope = difference === 0 ? 0 : (coefficient * bent) / difference
      for (let i = 0; i < contributions.length; i += 1) contributions[i] = doubleAt(contributions, i) * slope
      return contributions
    },
  }
}

function add(to: Float64Array, at: number, value: number): void {
  to[at] = doubleAt(to, at) + value
}

/** The trees of all terms that are leaves, as one ensemble; a forest that stands in more than one term comes once. */
function sumOf({ constant, terms }: ScoreFormula, width: number): TreeEnsemble {
  const values = new Map<TreeForest, Float64Array>()
  for (const term of terms) {
    if (term.kind !== 'leaves') continue
    const { forest, column, coefficient } = term
    const value = values.get(forest) ?? new Float64Array(forest.parent.length)
    values.set(forest, value)
    const leaves = forest.leaves[column]
    assert(leaves !== undefined, `the trees answer a column ${column}`)
    for (let node = 0; node < value.length; node += 1) add(value, node, coefficient * doubleAt(leaves, node))
  }
  const parts = [...values]
  const [only] = parts
  if (parts.length === 1 && only !== undefined) {
    const [forest, value] = only
    return { ...forest, base: constant, value, cover: coverOf(forest) }
  }
  const offsets = parts.map((_, i) => parts.slice(0, i).reduce((sum, [forest]) => sum + forest.parent.length, 0))
  const all = <List>(make: (forest: TreeForest, offset: number) => ArrayLike<number>, of: (list: number[]) => List) =>
    of(parts.flatMap(([forest], i) => Array.from(make(forest, offsets[i] ?? 0))))
  const [int32, uint8] = [(list: number[]) => Int32Array.from(list), (list: number[]) => Uint8Array.from(list)]
  return {
    ...{ width, base: constant },
    starts: Int32Array.from([0, ...all((forest, offset) => forest.starts.subarray(1).map((s) => s + offset), int32)]),
    parent: all(({ parent }, offset) => parent.map((above) => (above < 0 ? above : above + offset)), int32),
    whereTrue: all(({ whereTrue }) => whereTrue, uint8),
    feature: all(({ feature }) => feature, int32),
    mode: all(({ mode }) => mode, uint8),
    threshold: all(
      ({ threshold }) => threshold,
      (list) => Float32Array.from(list),
    ),
    missingTrue: all(({ missingTrue }) => missingTrue, uint8),
    value: Float64Array.from(parts.flatMap(([, value]) => Array.from(value))),
    cover: all(coverOf, (list) => Float64Array.from(list)),
  }
}

function coverOf({ cover }: TreeForest): Float64Array {
  assert(cover !== null, 'explained trees have covers')
  return cover
}
