import { branchModes, type TreeEnsemble } from '../../src/core/tree-ensemble.ts'

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
  /** A classifier with LOGISTIC, or a regressor with a Sigmoid after it. */
  readonly as?: 'classifier' | 'regressor'
  readonly postTransform?: string
  /** Covers of the nodes, instead of those of the ensemble; null writes none. */
  readonly cover?: readonly number[] | null
  /** Node types after the trees, in a chain. */
  readonly then?: readonly string[]
}

/** `[rows, width]` → `[rows, 2]` or `[rows, 1]`: the ensemble as a tree node of ONNX, its nodes listed backwards. */
export function treeModel(ensemble: TreeEnsemble, options: TreeModelOptions = {}): Uint8Array {
  const { as = 'classifier', cover = [...ensemble.cover] } = options
  const isClassifier = as === 'classifier'
  const then = options.then ?? (isClassifier ? [] : ['Sigmoid'])
  const leaf = isClassifier ? 'class' : 'target'
  const { tree, id, children, nodes } = listing(ensemble)
  const leaves = nodes.filter((node) => ensemble.feature[node] === -1)
  const floats = (name: string, values: readonly number[]) =>
    message([1, name], [7, Float32Array.from(values)], [20, 6])
  const integers = (name: string, values: readonly number[]) =>
    message([1, name], ...values.map((value): Field => [8, value]), [20, 7])
  const at = (list: ArrayLike<number>, node: number) => list[node] ?? 0
  const mode = (node: number) =>
    at(ensemble.feature, node) < 0 ? 'LEAF' : (branchModes[at(ensemble.mode, node)] ?? '')
  const attributes = [
    integers('nodes_treeids', nodes.map(tree)),
    integers('nodes_nodeids', nodes.map(id)),
    integers(
      'nodes_featureids',
      nodes.map((node) => Math.max(0, at(ensemble.feature, node))),
    ),
    message([1, 'nodes_modes'], ...nodes.map((node): Field => [9, mode(node)]), [20, 8]),
    floats(
      'nodes_values',
      nodes.map((node) => at(ensemble.threshold, node)),
    ),
    integers(
      'nodes_truenodeids',
      nodes.map((node) => children(node, 1)),
    ),
    integers(
      'nodes_falsenodeids',
      nodes.map((node) => children(node, 0)),
    ),
    integers(
      'nodes_missing_value_tracks_true',
      nodes.map((node) => at(ensemble.missingTrue, node)),
    ),
    ...(cover === null
      ? []
      : [
          floats(
            'nodes_hitrates',
            nodes.map((node) => at(cover, node)),
          ),
        ]),
    integers(`${leaf}_treeids`, leaves.map(tree)),
    integers(`${leaf}_nodeids`, leaves.map(id)),
    integers(
      `${leaf}_ids`,
      leaves.map(() => 0),
    ),
    floats(
      `${leaf}_weights`,
      leaves.map((node) => at(ensemble.value, node)),
    ),
    floats('base_values', [ensemble.base]),
    isClassifier ? integers('classlabels_int64s', [0, 1]) : message([1, 'n_targets'], [3, 1], [20, 2]),
    message([1, 'post_transform'], [4, options.postTransform ?? (isClassifier ? 'LOGISTIC' : 'NONE')], [20, 3]),
  ]
  const names = ['trees', ...then.map((_, i) => `after${i}`)]
  names[names.length - 1] = 'probabilities'
  const type = isClassifier ? 'TreeEnsembleClassifier' : 'TreeEnsembleRegressor'
  const outputs = [...(isClassifier ? ['label'] : []), names[0] ?? '']
  const trees = message(
    [1, 'features'],
    ...outputs.map((name): Field => [2, name]),
    [4, type],
    ...attributes.map((attribute): Field => [5, attribute]),
    [7, 'ai.onnx.ml'],
  )
  const graph = message(
    [1, trees],
    ...then.map((next, i) => node(next, [names[i] ?? ''], [names[i + 1] ?? ''])),
    [2, 'trees'],
    [11, valueInfo('features', ['rows', ensemble.width])],
    [12, valueInfo('probabilities', ['rows', isClassifier ? 2 : 1])],
  )
  const opsets: Field[] = [
    [8, message([1, ''], [2, 17])],
    [8, message([1, 'ai.onnx.ml'], [2, 3])],
  ]
  return message([1, 8], [2, 'riverbank tests'], [7, graph], ...opsets)
}

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
