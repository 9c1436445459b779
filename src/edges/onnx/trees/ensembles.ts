import {
  constantFormula,
  leavesFormula,
  logisticFormula,
  plus,
  times,
  type ScoreFormula,
  type TreeForest,
} from '../../../scoring/explain/score-formula.ts'
import type { GraphNode } from '../graph.ts'
import { forestOf } from './forest.ts'
import { attributesOf, listByPlace, listByTree, type Listing } from './listing.ts'
import { Unavailable } from './unavailable.ts'
import type { VectorElement } from './values.ts'

/** The answer of a node with trees, by column of its scores. */
export interface EnsembleAnswer {
  readonly forest: TreeForest
  readonly columns: readonly ScoreFormula[]
}

export function isEnsemble({ domain, type }: GraphNode): boolean {
  return domain === 'ai.onnx.ml' && type.startsWith('TreeEnsemble')
}

/** Reads the trees of a node that takes these elements of a vector. Throws {@link Unavailable}. */
export function readEnsemble(node: GraphNode, taken: readonly VectorElement[], width: number): EnsembleAnswer {
  const elements = taken.map(({ element }) => element)
  switch (node.type) {
    case 'TreeEnsembleClassifier':
      return classifierOf(node, elements, width)
    case 'TreeEnsembleRegressor':
      return regressorOf(node, elements, width)
    case 'TreeEnsemble':
      return versionFive(node, elements, width)
    default:
      throw new Unavailable(`${node.type} is not read`)
  }
}

/**
 * Follows ONNX Runtime 1.30 where the standard is silent. If only the first of two classes has leaves, they vote for
 * the second; the first is the rest to 1 if no weight is below 0, else the opposite.
 */
function classifierOf(node: GraphNode, elements: readonly number[], width: number): EnsembleAnswer {
  const { integers, strings, numbers, text } = attributesOf(node)
  const classes = Math.max(integers('classlabels_int64s').length, strings('classlabels_strings').length)
  const listing = listByTree(node, 'class', classes)
  const forest = forestOf(listing, elements, width)
  const link = text('post_transform', 'NONE')
  const base = numbers('base_values')
  const sums = sumsOf(listing, forest, base)
  const [first] = sums
  const isOne = listing.used.size === 1 && listing.used.has(0)
  if (classes !== 2 || first === undefined) return { forest, columns: linked(sums, link) }
  if (!isOne) return { forest, columns: linked(base.length === 2 ? opposed(forest, base) : sums, link) }
  if (base.length > 1) throw new Unavailable('the trees start from more than one base value')
  if (link === 'LOGISTIC' || link === 'PROBIT') return { forest, columns: linked([times(first, -1), first], link) }
  const rest = listing.isPositive ? plus(constantFormula(1), times(first, -1)) : times(first, -1)
  return { forest, columns: [rest, first] }
}

/**
 * With a base value for each of two classes, the runtime reads only the first class's leaves, as votes for the second.
 */
function opposed(forest: TreeForest, [, base = 0]: readonly number[]): ScoreFormula[] {
  const sum = plus(constantFormula(base), leavesFormula(forest, 0))
  return [times(sum, -1), sum]
}

function regressorOf(node: GraphNode, elements: readonly number[], width: number): EnsembleAnswer {
  const { integer, numbers, text } = attributesOf(node)
  const listing = listByTree(node, 'target', integer('n_targets', 1))
  const forest = forestOf(listing, elements, width)
  const share = shareOf(text('aggregate_function', 'SUM'), listing)
  const sums = sumsOf(listing, forest, numbers('base_values'), share)
  return { forest, columns: linked(sums, text('post_transform', 'NONE')) }
}

const aggregates = ['AVERAGE', 'SUM', 'MIN', 'MAX'] as const
const links = ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'] as const

function versionFive(node: GraphNode, elements: readonly number[], width: number): EnsembleAnswer {
  const { integer } = attributesOf(node)
  const listing = listByPlace(node, integer('n_targets', 1))
  const forest = forestOf(listing, elements, width)
  const sums = sumsOf(listing, forest, [], shareOf(aggregates[integer('aggregate_function', 1)] ?? '', listing))
  return { forest, columns: linked(sums, links[integer('post_transform', 0)] ?? '') }
}

/** The factor of each leaf in the sum. */
function shareOf(aggregate: string, { roots }: Listing): number {
  if (aggregate === 'SUM') return 1
  if (aggregate === 'AVERAGE') return 1 / roots.length
  throw new Unavailable(`the trees are not added up, but put together by ${aggregate}`)
}

function sumsOf({ columns }: Listing, forest: TreeForest, base: readonly number[], share = 1): ScoreFormula[] {
  return Array.from({ length: columns }, (_, column) =>
    plus(constantFormula(base[column] ?? 0), leavesFormula(forest, column, share)),
  )
}

function linked(sums: readonly ScoreFormula[], link: string): ScoreFormula[] {
  const [first, second] = sums
  if (link === 'NONE') return [...sums]
  if (link === 'LOGISTIC') return sums.map(logisticFormula)
  if (link.startsWith('SOFTMAX') && sums.length === 2 && first !== undefined && second !== undefined) {
    return [plus(first, times(second, -1)), plus(second, times(first, -1))].map(logisticFormula)
  }
  throw new Unavailable(`the trees' sums become a probability by ${link}`)
}
