import { branchModes } from '../../../scoring/explain/tree-ensemble.ts'
import type { GraphNode } from '../graph.ts'
import { Unavailable } from './unavailable.ts'

/** The nodes of a forest as a file lists them: a place is a number that only the listing understands. */
export interface Listing {
  readonly roots: readonly number[]
  /** The number of columns of the trees' answer. */
  readonly columns: number
  /** Columns that some leaf adds to. */
  readonly used: ReadonlySet<number>
  /** Every weight of every leaf is at or above 0. */
  readonly isPositive: boolean
  readonly at: (place: number) => ListedSplit | ListedLeaf
  /** The number of places, all of which a root reaches. Null if two paths may reach one leaf. */
  readonly places: number | null
}

export interface ListedSplit {
  readonly kind: 'split'
  readonly feature: number
  /** Index into `branchModes`. */
  readonly mode: number
  readonly threshold: number
  readonly missingTrue: boolean
  readonly yes: number
  readonly no: number
  readonly cover: number | null
}

export interface ListedLeaf {
  readonly kind: 'leaf'
  /** By column; a missing one is 0. */
  readonly weights: ReadonlyMap<number, number>
  readonly cover: number | null
}

/** Reads attributes by name; a missing one is empty. Numbers may also come as a tensor of doubles. */
export function attributesOf({ attributes }: GraphNode) {
  const tensor = (name: string) => attributes.get(`${name}_as_tensor`)?.tensor?.values
  return {
    integers: (name: string): readonly number[] => attributes.get(name)?.integers ?? [],
    numbers: (name: string): readonly number[] =>
      tensor(name) ?? attributes.get(name)?.tensor?.values ?? attributes.get(name)?.floats ?? [],
    strings: (name: string): readonly string[] => attributes.get(name)?.strings ?? [],
    integer: (name: string, byDefault: number): number => attributes.get(name)?.integer ?? byDefault,
    text: (name: string, byDefault: string): string => attributes.get(name)?.text ?? byDefault,
  }
}

/** Lists a TreeEnsembleClassifier or TreeEnsembleRegressor: nodes by tree and id, leaves among them. */
export function listByTree(node: GraphNode, leaf: 'class' | 'target', columns: number): Listing {
  const { integers, numbers, strings } = attributesOf(node)
  const [trees, ids] = [integers('nodes_treeids'), integers('nodes_nodeids')]
  const places = new Map<string, number>()
  for (const [i, tree] of trees.entries()) places.set(`${tree}/${ids[i]}`, i)
  if (places.size !== trees.length) throw new Unavailable('two nodes of the trees have one id')
  const place = (tree: number | undefined, id: number | undefined): number => {
    const found = places.get(`${tree}/${id}`)
    if (found === undefined) throw new Unavailable(`the trees have no node ${tree}/${id}`)
    return found
  }
  const modes = strings('nodes_modes')
  const hits = numbers('nodes_hitrates')
  const cover = (at: number) => (hits.length === trees.length ? (hits[at] ?? null) : null)
  const [features, thresholds] = [integers('nodes_featureids'), numbers('nodes_values')]
  const [yes, no] = [integers('nodes_truenodeids'), integers('nodes_falsenodeids')]
  const missingTrue = integers('nodes_missing_value_tracks_true')
  const weights = new Map<number, Map<number, number>>()
  const [weightOf, columnOf, idOf] = [numbers(`${leaf}_weights`), integers(`${leaf}_ids`), integers(`${leaf}_nodeids`)]
  for (const [i, tree] of integers(`${leaf}_treeids`).entries()) {
    const at = place(tree, idOf[i])
    if (modes[at] !== 'LEAF') throw new Unavailable('a node that is no leaf has a weight')
    addWeight(weights, at, columnOf[i] ?? 0, weightOf[i] ?? NaN)
  }
  return {
    // As in ONNX Runtime: the first listed node of each tree.
    roots: [...trees.keys()].filter((at) => trees[at] !== trees[at - 1]),
    places: trees.length,
    ...ofLeaves(columns, columnOf, weightOf),
    at(at) {
      if (modes[at] === 'LEAF') return { kind: 'leaf', weights: weights.get(at) ?? new Map(), cover: cover(at) }
      return {
        ...{ kind: 'split', feature: features[at] ?? -1, mode: modeOf(modes[at]), threshold: thresholds[at] ?? NaN },
        ...{ missingTrue: missingTrue[at] === 1, cover: cover(at) },
        ...{ yes: place(trees[at], yes[at]), no: place(trees[at], no[at]) },
      }
    },
  }
}

/** The modes of version 5, in the order of their numbers. */
const numberedModes = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ', 'BRANCH_MEMBER']

/** Lists a TreeEnsemble (version 5): nodes by their place, leaves in a list of their own, without hit rates. */
export function listByPlace(node: GraphNode, columns: number): Listing {
  const { integers, numbers } = attributesOf(node)
  const [features, thresholds, modes] = [integers('nodes_featureids'), numbers('nodes_splits'), numbers('nodes_modes')]
  const [yes, no] = [integers('nodes_truenodeids'), integers('nodes_falsenodeids')]
  const [yesLeaf, noLeaf] = [integers('nodes_trueleafs'), integers('nodes_falseleafs')]
  const missingTrue = integers('nodes_missing_value_tracks_true')
  const [weightOf, columnOf] = [numbers('leaf_weights'), integers('leaf_targetids')]
  const leaves = features.length
  const next = (id: number | undefined, isLeaf: number | undefined) => (id ?? NaN) + (isLeaf === 1 ? leaves : 0)
  return {
    roots: integers('tree_roots'),
    places: null,
    ...ofLeaves(columns, columnOf, weightOf),
    at(at) {
      if (at >= leaves && at - leaves < columnOf.length) {
        const weights = new Map([[columnOf[at - leaves] ?? 0, weightOf[at - leaves] ?? NaN]])
        return { kind: 'leaf', weights, cover: null }
      }
      if (!(at >= 0 && at < leaves)) throw new Unavailable(`the trees have no node ${at}`)
      return {
        ...{ kind: 'split', feature: features[at] ?? -1, mode: modeOf(numberedModes[modes[at] ?? NaN]) },
        ...{ threshold: thresholds[at] ?? NaN, missingTrue: missingTrue[at] === 1, cover: null },
        ...{ yes: next(yes[at], yesLeaf[at]), no: next(no[at], noLeaf[at]) },
      }
    },
  }
}

function addWeight(weights: Map<number, Map<number, number>>, at: number, column: number, weight: number): void {
  const own = weights.get(at) ?? new Map<number, number>()
  weights.set(at, own.set(column, (own.get(column) ?? 0) + weight))
}

function ofLeaves(columns: number, columnOf: readonly number[], weightOf: readonly number[]) {
  return { columns, used: new Set(columnOf), isPositive: weightOf.every((weight) => weight >= 0) }
}

function modeOf(name: string | undefined): number {
  const mode = branchModes.findIndex((one) => one === name)
  if (mode < 0) throw new Unavailable(`a node compares by ${name}`)
  return mode
}
