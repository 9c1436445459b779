import { branchModes, type TreeEnsemble } from '../../src/scoring/explain/tree-ensemble.ts'

/**
 * Writes tiny ONNX models byte by byte, so that tests can make any model, right or wrong, without Python.
 * Field numbers: onnx/onnx.proto.
 */
type Field = readonly [field: number, value: number | string | Uint8Array | Float32Array]

const encoder = new TextEncoder()

export function message(...fields: readonly Field[]): Uint8Array {
  return concat(fields.map(([field, value]) => encodeField(field, value)))
}

function encodeField(field: number, value: Field[1]): Uint8Array {
  if (typeof value === 'number') return concat([varint(field * 8), varint(value)])
  const bytes =
    typeof value === 'string' ? encoder.encode(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return concat([varint(field * 8 + 2), varint(bytes.length), bytes])
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

const float = 1

/** ValueInfoProto of a float tensor; a string is a length that may differ from run to run. */
function valueInfo(name: string, shape: readonly (number | string)[]): Uint8Array {
  const dimensions = shape.map((size): Field => [1, message(typeof size === 'number' ? [1, size] : [2, size])])
  return message([1, name], [2, message([1, message([1, float], [2, message(...dimensions)])])])
}

function node(type: string, inputs: readonly string[], outputs: readonly string[], ...attributes: Uint8Array[]): Field {
  const names = [...inputs.map((name): Field => [1, name]), ...outputs.map((name): Field => [2, name])]
  return [1, message(...names, [4, type], ...attributes.map((attribute): Field => [5, attribute]))]
}

export interface LinearModel {
  readonly weights: readonly number[]
  readonly bias?: number
  /** What comes after the sum: `Sigmoid` makes a probability, `Sqrt` is NaN below zero, `Identity` does nothing. */
  readonly then?: 'Sigmoid' | 'Sqrt' | 'Identity'
  /** Subtracts the batch's mean from every row: scores that depend on their neighbours. */
  readonly batchMean?: boolean
  readonly input?: string
  readonly output?: string
  /** A model that takes exactly so many rows at once. */
  readonly rows?: number
  /** The weights' bytes in another file. */
  readonly external?: string
}

/** `[rows, weights.length]` → `[rows, 1]`: then(features · weights + bias). */
export function linearModel(model: LinearModel): Uint8Array {
  const { weights, bias = 0, then = 'Sigmoid', input = 'features', output = 'probabilities', external } = model
  const data: Field[] =
    external === undefined
      ? [[9, Float32Array.from(weights)]]
      : [
          [13, message([1, 'location'], [2, external])],
          [14, 1],
        ]
  const sum = model.batchMean === true ? 'centered' : 'sum'
  const keepDims = message([1, 'keepdims'], [3, 1], [20, 2])
  const mean = [node('ReduceMean', ['sum'], ['mean'], keepDims), node('Sub', ['sum', 'mean'], ['centered'])]
  const graph = message(
    node('MatMul', [input, 'weights'], ['product']),
    node('Add', ['product', 'bias'], ['sum']),
    ...(model.batchMean === true ? mean : []),
    node(then, [sum], [output]),
    [2, 'linear'],
    [5, message([1, weights.length], [1, 1], [2, float], [8, 'weights'], ...data)],
    [5, message([1, 1], [2, float], [8, 'bias'], [9, Float32Array.of(bias)])],
    [11, valueInfo(input, [model.rows ?? 'rows', weights.length])],
    [12, valueInfo(output, [model.rows ?? 'rows', 1])],
  )
  return message([1, 8], [2, 'riverbank tests'], [7, graph], [8, message([1, ''], [2, 17])])
}

export interface TreeModelOptions {
  /** A classifier with LOGISTIC, or a regressor with a Sigmoid after it, or its successor of version 5. */
  readonly as?: 'classifier' | 'regressor' | 'version 5'
  readonly postTransform?: string
  /** Leaves vote for the second class alone, or against the first one as well. */
  readonly votes?: 'second' | 'both'
  readonly aggregate?: 'SUM' | 'AVERAGE'
  /** Instead of the ensemble's, one for each class that leaves vote for. */
  readonly baseValues?: readonly number[]
  /** Thresholds and weights as doubles; only version 5 is written so. */
  readonly doubles?: { readonly threshold: readonly number[] }
  /** Covers of the nodes, instead of those of the ensemble; null writes none. */
  readonly cover?: readonly number[] | null
  /** Node types after the trees, in a chain. */
  readonly then?: readonly string[]
}

/** `[rows, width]` → `[rows, 2]` or `[rows, 1]`: the ensemble as a tree node of ONNX, its nodes listed backwards. */
export function treeModel(ensemble: TreeEnsemble, options: TreeModelOptions = {}): Uint8Array {
  const { as = 'classifier' } = options
  const [isClassifier, isDouble] = [as === 'classifier', options.doubles !== undefined]
  const then = options.then ?? (isClassifier ? [] : ['Sigmoid'])
  const attributes = as === 'version 5' ? placedAttributes(ensemble, options) : treeAttributes(ensemble, options)
  const names = ['trees', ...then.map((_, i) => `after${i}`)]
  names[names.length - 1] = 'probabilities'
  const type = {
    classifier: 'TreeEnsembleClassifier',
    regressor: 'TreeEnsembleRegressor',
    'version 5': 'TreeEnsemble',
  }[as]
  const outputs = [...(isClassifier ? ['label'] : []), isDouble ? 'sums' : (names[0] ?? '')]
  const trees = message(
    [1, isDouble ? 'doubles' : 'features'],
    ...outputs.map((name): Field => [2, name]),
    [4, type],
    ...attributes.map((attribute): Field => [5, attribute]),
    [7, 'ai.onnx.ml'],
  )
  const cast = (from: string, to: string, type: number) => node('Cast', [from], [to], integer('to', type))
  const based = as === 'version 5' ? [node('Add', [names[0] ?? '', 'base'], ['based'])] : []
  const from = based.length > 0 ? ['based', ...names.slice(1)] : names
  const graph = message(
    ...(isDouble ? [cast('features', 'doubles', 11)] : []),
    [1, trees],
    ...(isDouble ? [cast('sums', names[0] ?? '', float)] : []),
    ...based,
    ...then.map((next, i) => node(next, [from[i] ?? ''], [names[i + 1] ?? ''])),
    [2, 'trees'],
    [5, message([2, float], [8, 'base'], [9, Float32Array.of(ensemble.base)])],
    [11, valueInfo('features', ['rows', ensemble.width])],
    [12, valueInfo('probabilities', ['rows', isClassifier ? 2 : 1])],
  )
  const opsets: Field[] = [
    [8, message([1, ''], [2, 17])],
    [8, message([1, 'ai.onnx.ml'], [2, as === 'version 5' ? 5 : 3])],
  ]
  return message([1, 8], [2, 'riverbank tests'], [7, graph], ...opsets)
}

const at = (list: ArrayLike<number>, place: number) => list[place] ?? 0
const floats = (name: string, values: readonly number[]) => message([1, name], [7, Float32Array.from(values)], [20, 6])
const integers = (name: string, values: readonly number[]) =>
  message([1, name], ...values.map((value): Field => [8, value]), [20, 7])
const integer = (name: string, value: number) => message([1, name], [3, value], [20, 2])

function treeAttributes(ensemble: TreeEnsemble, options: TreeModelOptions): Uint8Array[] {
  const { as = 'classifier', cover = [...ensemble.cover], votes = 'second', aggregate = 'SUM' } = options
  const isClassifier = as === 'classifier'
  const leaf = isClassifier ? 'class' : 'target'
  const { tree, id, children, nodes } = listing(ensemble)
  const leaves = nodes.filter((place) => ensemble.feature[place] === -1)
  const ofNodes = (name: string, of: (place: number) => number) => integers(name, nodes.map(of))
  const mode = (place: number) =>
    at(ensemble.feature, place) < 0 ? 'LEAF' : (branchModes[at(ensemble.mode, place)] ?? '')
  const twice = <Item>(list: readonly Item[]) => (votes === 'both' ? [...list, ...list] : list)
  const weights = leaves.map((place) => at(ensemble.value, place))
  const voted = votes === 'both' ? [...weights.map((weight) => -weight), ...weights] : weights
  const ids = votes === 'both' ? [...leaves.map(() => 0), ...leaves.map(() => 1)] : leaves.map(() => 0)
  return [
    ofNodes('nodes_treeids', tree),
    ofNodes('nodes_nodeids', id),
    ofNodes('nodes_featureids', (place) => Math.max(0, at(ensemble.feature, place))),
    message([1, 'nodes_modes'], ...nodes.map((place): Field => [9, mode(place)]), [20, 8]),
    floats(
      'nodes_values',
      nodes.map((place) => at(ensemble.threshold, place)),
    ),
    ofNodes('nodes_truenodeids', (place) => children(place, 1)),
    ofNodes('nodes_falsenodeids', (place) => children(place, 0)),
    ofNodes('nodes_missing_value_tracks_true', (place) => at(ensemble.missingTrue, place)),
    ...(cover === null
      ? []
      : [
          floats(
            'nodes_hitrates',
            nodes.map((place) => at(cover, place)),
          ),
        ]),
    integers(`${leaf}_treeids`, twice(leaves.map(tree))),
    integers(`${leaf}_nodeids`, twice(leaves.map(id))),
    integers(`${leaf}_ids`, ids),
    floats(`${leaf}_weights`, voted),
    floats('base_values', options.baseValues ?? (votes === 'both' ? [-ensemble.base, ensemble.base] : [ensemble.base])),
    isClassifier ? integers('classlabels_int64s', [0, 1]) : integer('n_targets', 1),
    ...(isClassifier ? [] : [message([1, 'aggregate_function'], [4, aggregate], [20, 3])]),
    message([1, 'post_transform'], [4, options.postTransform ?? (isClassifier ? 'LOGISTIC' : 'NONE')], [20, 3]),
  ]
}

/**
 * Nodes that compare in one list, leaves in another. A tree that is one leaf has no form here: both sides of a node
 * have it.
 */
function placedAttributes(ensemble: TreeEnsemble, { aggregate = 'SUM', doubles }: TreeModelOptions): Uint8Array[] {
  const { feature, parent, whereTrue, starts } = ensemble
  const all = [...parent.keys()]
  const nodes = all.filter((place) => at(feature, place) >= 0 || at(parent, place) < 0)
  const leaves = all.filter((place) => at(feature, place) < 0)
  const below = (place: number, side: 0 | 1) =>
    at(feature, place) < 0 ? place : all.findIndex((one) => parent[one] === place && whereTrue[one] === side)
  const isLeaf = (place: number) => (at(feature, place) < 0 ? 1 : 0)
  const target = (place: number) => (isLeaf(place) === 1 ? leaves.indexOf(place) : nodes.indexOf(place))
  const ofNodes = (name: string, of: (place: number) => number) => integers(name, nodes.map(of))
  const tensor = (name: string, values: readonly number[]): Uint8Array => {
    const data = doubles === undefined ? Float32Array.from(values) : Float64Array.from(values)
    const bytes = new Uint8Array(data.buffer)
    return message(
      [1, name],
      [5, message([1, values.length], [2, doubles === undefined ? 1 : 11], [9, bytes])],
      [20, 4],
    )
  }
  const modes = Uint8Array.from(nodes, (place) => at(numberedModes, at(ensemble.mode, place)))
  return [
    ofNodes('nodes_featureids', (place) => Math.max(0, at(feature, place))),
    tensor(
      'nodes_splits',
      nodes.map((place) => at(doubles?.threshold ?? ensemble.threshold, place)),
    ),
    message([1, 'nodes_modes'], [5, message([1, modes.length], [2, 2], [9, modes])], [20, 4]),
    ofNodes('nodes_truenodeids', (place) => target(below(place, 1))),
    ofNodes('nodes_falsenodeids', (place) => target(below(place, 0))),
    ofNodes('nodes_trueleafs', (place) => isLeaf(below(place, 1))),
    ofNodes('nodes_falseleafs', (place) => isLeaf(below(place, 0))),
    ofNodes('nodes_missing_value_tracks_true', (place) => at(ensemble.missingTrue, place)),
    integers(
      'tree_roots',
      [...starts.subarray(0, -1)].map((start) => nodes.indexOf(start)),
    ),
    integers(
      'leaf_targetids',
      leaves.map(() => 0),
    ),
    tensor(
      'leaf_weights',
      leaves.map((place) => at(ensemble.value, place)),
    ),
    integer('n_targets', 1),
    integer('aggregate_function', aggregate === 'AVERAGE' ? 0 : 1),
    integer('post_transform', 0),
  ]
}

/** By index into `branchModes`: the number of version 5. */
const numberedModes = [0, 1, 2, 3, 4, 5]

/** Ids and order as another exporter could have chosen them: each tree's root, and then the others backwards. */
function listing({ starts, parent, whereTrue }: TreeEnsemble) {
  const nodes = [...starts.subarray(0, -1)].flatMap((root, i) => {
    const others = [...parent.keys()].slice(root + 1, starts[i + 1])
    return [root, ...others.reverse()]
  })
  const tree = (node: number) => starts.findIndex((start) => start > node) - 1
  const id = (node: number) => (starts[tree(node) + 1] ?? 0) - 1 - node
  const below = new Map([...parent.keys()].map((node) => [`${parent[node]}/${whereTrue[node]}`, node]))
  const children = (node: number, side: 0 | 1) => {
    const child = below.get(`${node}/${side}`)
    return child === undefined ? 0 : id(child)
  }
  return { tree, id, children, nodes }
}
