import type { ScoreFormula } from '../../../scoring/explain/score-formula.ts'
import type { ConstantTensor } from '../tensor.ts'

/** The known form of a tensor of the graph, for any rows: by column, except for constants. */
export type Value =
  | { readonly kind: 'constant'; readonly tensor: ConstantTensor }
  /** Elements of the vector as they are. */
  | { readonly kind: 'vector'; readonly elements: readonly VectorElement[] }
  | { readonly kind: 'columns'; readonly columns: readonly ScoreFormula[] }
  /** `shift` + e to the power of the formula. */
  | { readonly kind: 'powers'; readonly shift: number; readonly exponents: readonly ScoreFormula[] }
  /** Unknown, and why. */
  | { readonly kind: 'unknown'; readonly why: string }

export interface VectorElement {
  readonly element: number
  /** An operator has cut off the fraction. */
  readonly isWhole: boolean
}

export function columnsValue(columns: readonly ScoreFormula[]): Value {
  return { kind: 'columns', columns }
}

export function unknown(why: string): Value {
  return { kind: 'unknown', why }
}
