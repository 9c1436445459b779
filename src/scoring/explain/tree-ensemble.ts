import { doubleAt } from '../../base/arrays.ts'
/** How a node compares, as ONNX spells it; a node's mode is an index. */
export const branchModes = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ'] as const

/**
 * Trees whose leaves add up to log odds. All nodes in one list, one tree after the other, each in pre-order: a node
 * comes before everything below it.
 */
export interface TreeEnsemble {
  /** Elements of a vector. */
  readonly width: number
  /** What every sum starts from. */
  readonly base: number
  /** First node of each tree, and at the end the number of nodes. */
  readonly starts: Int32Array
  /** −1 of a root. */
  readonly parent: Int32Array
  /** 1: below its parent where the parent's comparison holds; 0: where it does not. */
  readonly whereTrue: Uint8Array
  /** The element that is compared, −1 of a leaf. */
  readonly feature: Int32Array
  /** Index into {@link branchModes}. */
  readonly mode: Uint8Array
  readonly threshold: Float32Array
  /** 1: the comparison holds for what is missing (NaN). */
  readonly missingTrue: Uint8Array
  /** Of a leaf; 0 of other nodes. */
  readonly value: Float64Array
  /** How much of the training data came through a node, in whatever unit: only ratios count. */
  readonly cover: Float64Array
}

/** The part of what comes through the node above that comes through this one; half where nothing comes. */
export function shareOf({ cover }: Pick<TreeEnsemble, 'cover'>, node: number, above: number): number {
  const whole = doubleAt(cover, above)
  return whole > 0 ? doubleAt(cover, node) / whole : 0.5
}

/** Compares float32 values as ONNX Runtime does. */
export function holds(mode: number, value: number, threshold: number, missingTrue: number): boolean {
  switch (mode) {
    case 0:
      return value <= threshold || (missingTrue === 1 && value !== value)
    case 1:
      return value < threshold || (missingTrue === 1 && value !== value)
    case 2:
      return value >= threshold || (missingTrue === 1 && value !== value)
    case 3:
      return value > threshold || (missingTrue === 1 && value !== value)
    case 4:
      return value === threshold || (missingTrue === 1 && value !== value)
    default:
      return value !== threshold || (missingTrue === 1 && value !== value)
  }
}
