import type { TreeEnsemble } from './tree-ensemble.ts'

/** Trees as a model has them, whatever becomes of what their leaves say. `cover` is null where the model has none. */
export interface TreeForest extends Omit<TreeEnsemble, 'base' | 'value' | 'cover'> {
  readonly cover: Float64Array | null
  /** By column of what the trees answer: what each node adds to it, 0 of nodes that are no leaf. */
  readonly leaves: readonly Float64Array[]
}

/** How a score follows from the leaves that a vector reaches: a constant, and so much of each term. */
export interface ScoreFormula {
  readonly constant: number
  readonly terms: readonly ScoreTerm[]
}

export type ScoreTerm = { readonly coefficient: number } & (
  | { readonly kind: 'leaves'; readonly forest: TreeForest; readonly column: number }
  | { readonly kind: 'logistic'; readonly of: ScoreFormula }
)

export function constantFormula(constant: number): ScoreFormula {
  return { constant, terms: [] }
}

export function leavesFormula(forest: TreeForest, column: number, coefficient = 1): ScoreFormula {
  return { constant: 0, terms: [{ kind: 'leaves', forest, column, coefficient }] }
}

export function logisticFormula(of: ScoreFormula): ScoreFormula {
  return { constant: 0, terms: [{ kind: 'logistic', of, coefficient: 1 }] }
}

export function plus(left: ScoreFormula, right: ScoreFormula): ScoreFormula {
  return { constant: left.constant + right.constant, terms: [...left.terms, ...right.terms] }
}

export function times({ constant, terms }: ScoreFormula, factor: number): ScoreFormula {
  return {
    constant: constant * factor,
    terms: terms.map((term) => ({ ...term, coefficient: term.coefficient * factor })),
  }
}

/** The formula of the log odds, where the score is the logistic function of something; null where it is not. */
export function logOddsOf({ constant, terms }: ScoreFormula): ScoreFormula | null {
  const [only] = terms
  if (terms.length !== 1 || only?.kind !== 'logistic') return null
  if (constant === 0 && only.coefficient === 1) return only.of
  // 1 − σ(z) is σ(−z).
  return constant === 1 && only.coefficient === -1 ? times(only.of, -1) : null
}

export function logistic(at: number): number {
  return 1 / (1 + Math.exp(-at))
}
