import { branchModes, type TreeEnsemble } from '../../core/tree-ensemble.ts'
import { splitsSize } from '../../core/tree-splits.ts'
import { graphNodes, type Attribute, type GraphNode } from './graph.ts'
import type { ModelManifest } from './manifest.ts'

/** Memory that an ensemble may take when it is arranged for explanations, in doubles: 128 MB. */
const doublesMax = 16 * 1024 * 1024
/** Covers are sums of float32 numbers; a cover that says nothing (1 everywhere) is far off. */
const coverTolerance = 0.01

/**
 * `unavailable`: the model may score as well as any, but nothing exact can be said of its features: it is no tree
 * ensemble, has no covers, or is more than one ensemble and a logistic function.
 */
export type TreesFound =
  | { readonly kind: 'trees'; readonly ensemble: TreeEnsemble }
  | { readonly kind: 'unavailable'; readonly reason: string }

/** Reads the trees of a model from its bytes alone. Never throws: any model may come. */
export function readTrees(model: Uint8Array, manifest: Pick<ModelManifest, TreeManifest>): TreesFound {
  try {
    const ensemble = ensembleOf(treesOf(graphNodes(model), manifest), manifest.features.length)
    const doubles = splitsSize(ensemble)
    if (doubles > doublesMax)
      throw new Unavailable(`the trees are too large: ${doubles} numbers, at most ${doublesMax}`)
    return { kind: 'trees', ensemble }
  } catch (error) {
    return { kind: 'unavailable', reason: error instanceof Error ? error.message : String(error) }
  }
}

type TreeManifest = 'features' | 'input' | 'probability'

class Unavailable extends Error {}

/** Attributes of a TreeEnsembleClassifier or Regressor, with those of the leaves under one name. */
interface TreeAttributes {
  readonly integers: (name: string) => readonly number[]
  readonly floats: (name: string) => readonly number[]
  readonly strings: (name: string) => readonly string[]
  readonly leaf: 'class' | 'target'
}

/**
 * The one node with trees, between the model's input and its probability: a classifier of two classes with LOGISTIC, or
 * a regressor of one target and a Sigmoid. Both are the logistic function of a sum of leaves.
 */
function treesOf(nodes: readonly GraphNode[], manifest: Pick<ModelManifest, TreeManifest>): TreeAttributes {
  const isTrees = ({ domain, type }: GraphNode) => domain === 'ai.onnx.ml' && type.startsWith('TreeEnsemble')
  const found = nodes.filter(isTrees)
  const [node] = found
  if (node === undefined) throw new Unavailable('the model is no tree ensemble')
  if (found.length > 1) throw new Unavailable(`the model is ${found.length} tree ensembles`)
  if (node.inputs[0] !== manifest.input.name) throw new Unavailable('the trees do not take the vector as it is')
  const attribute = (name: string): Attribute | undefined => node.attributes.get(name)
  const text = (name: string, byDefault: string) => attribute(name)?.text ?? byDefault
  for (const [name, { isOther }] of node.attributes) if (isOther) throw new Unavailable(`${name} is no list of float32`)
  const link = text('post_transform', 'NONE')
  if (node.type === 'TreeEnsembleClassifier') {
    const classes = Math.max(
      attribute('classlabels_int64s')?.integers.length ?? 0,
      attribute('classlabels_strings')?.strings.length ?? 0,
    )
    const isOne = new Set(attribute('class_ids')?.integers).size === 1
    if (classes !== 2 || !isOne) throw new Unavailable('the trees vote for more than one class')
    if (link !== 'LOGISTIC') throw new Unavailable(`the trees' sum becomes a probability by ${link}, not by LOGISTIC`)
    if (node.outputs[1] !== manifest.probability.output || manifest.probability.column !== 1) {
      throw new Unavailable('the score is not the probability of the second class')
    }
  } else if (node.type === 'TreeEnsembleRegressor') {
    const after = nodes.filter(({ inputs }) => inputs.includes(node.outputs[0] ?? ''))
    const isLogistic = after.length === 1 && after[0]?.type === 'Sigmoid' && link === 'NONE'
    if (!isLogistic || after[0]?.outputs[0] !== manifest.probability.output) {
      throw new Unavailable("the trees' sum becomes a score by something else than a Sigmoid")
    }
    const isSum = text('aggregate_function', 'SUM') === 'SUM'
    if (!isSum || attribute('n_targets')?.integer !== 1) throw new Unavailable('the trees are not summed to one target')
  } else throw new Unavailable(`${node.type} is not read`)
  return {
    integers: (name) => attribute(name)?.integers ?? [],
    floats: (name) => attribute(name)?.floats ?? [],
    strings: (name) => attribute(name)?.strings ?? [],
    leaf: node.type === 'TreeEnsembleClassifier' ? 'class' : 'target',
  }
}

/** Brings the nodes, which may come in any order, into pre-order, and checks that they are trees with covers. */
function ensembleOf(attributes: TreeAttributes, width: number): TreeEnsemble {
  const listed = listedNodes(attributes)
  const count = listed.feature.length
  const order: number[] = []
  const parent: number[] = []
  const whereTrue: number[] = []
  const starts: number[] = [0]
  const seen = new Uint8Array(count)
  for (const root of listed.roots) {
    const open = [{ node: root, above: -1, side: 0 }]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { node, above, side } = next
      if (seen[node] === 1) throw new Unavailable('a node of the trees is reached twice')
      seen[node] = 1
      const at = order.push(node) - 1
      parent.push(above)
      whereTrue.push(side)
      if (listed.isLeaf[node] === true) continue
      const [yes, no] = [listed.child('nodes_truenodeids', node), listed.child('nodes_falsenodeids', node)]
      checkCover(listed.cover, node, yes, no)
      if ((listed.feature[node] ?? width) >= width) throw new Unavailable('a node compares what the vector has not')
      open.push({ node: no, above: at, side: 0 }, { node: yes, above: at, side: 1 })
    }
    starts.push(order.length)
  }
  if (order.length < count) throw new Unavailable('a node of the trees is never reached')
  const of = (list: readonly number[]) => order.map((node) => list[node] ?? 0)
  return {
    width,
    base: listed.base,
    starts: Int32Array.from(starts),
    parent: Int32Array.from(parent),
    whereTrue: Uint8Array.from(whereTrue),
    feature: Int32Array.from(order, (node) => (listed.isLeaf[node] === true ? -1 : (listed.feature[node] ?? -1))),
    mode: Uint8Array.from(of(listed.mode)),
    threshold: Float32Array.from(of(listed.threshold)),
    missingTrue: Uint8Array.from(of(listed.missingTrue)),
    value: Float64Array.from(of(listed.value)),
    cover: Float64Array.from(of(listed.cover)),
  }
}

/** The nodes in the order of the file, the links between them resolved to places in that order. */
function listedNodes({ integers, floats, strings, leaf }: TreeAttributes) {
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
  const cover = floats('nodes_hitrates')
  if (cover.length !== trees.length) throw new Unavailable('the trees have no covers (nodes_hitrates)')
  const isLeaf = modes.map((mode) => mode === 'LEAF')
  const mode = modes.map((name) => branchModes.indexOf(name as (typeof branchModes)[number]))
  const unknown = modes.find((_, i) => isLeaf[i] === false && (mode[i] ?? -1) < 0)
  if (unknown !== undefined) throw new Unavailable(`a node compares by ${unknown}`)
  const value = new Array<number>(trees.length).fill(0)
  const weights = floats(`${leaf}_weights`)
  for (const [i, tree] of integers(`${leaf}_treeids`).entries()) {
    const node = place(tree, integers(`${leaf}_nodeids`)[i])
    if (isLeaf[node] !== true) throw new Unavailable('a node that is no leaf has a weight')
    value[node] = (value[node] ?? 0) + (weights[i] ?? NaN)
  }
  const child = (name: string, node: number) => place(trees[node], integers(name)[node])
  const base = floats('base_values')
  if (base.length > 1) throw new Unavailable('the trees start from more than one base value')
  return {
    ...{ isLeaf, mode, value, cover, child },
    // As ONNX Runtime has it: the first node that is listed of a tree.
    roots: [...trees.keys()].filter((node) => trees[node] !== trees[node - 1]),
    base: base[0] ?? 0,
    feature: integers('nodes_featureids'),
    threshold: floats('nodes_values'),
    missingTrue: integers('nodes_missing_value_tracks_true'),
  }
}

function checkCover(cover: readonly number[], node: number, yes: number, no: number): void {
  const [whole, left, right] = [cover[node] ?? NaN, cover[yes] ?? NaN, cover[no] ?? NaN]
  const isCover = whole > 0 && left >= 0 && right >= 0 && Math.abs(left + right - whole) <= coverTolerance * whole
  if (!isCover) throw new Unavailable('the covers of the trees (nodes_hitrates) do not add up')
}
