import { seeded } from '../fuzz/definitions.ts'

/**
 * A TreeEnsembleRegressor of random complete trees and a sigmoid, written byte by byte: benchmarks need models of any
 * size, and no Python. Field numbers: onnx/onnx.proto.
 */
type Value = number | string | Uint8Array
type Field = readonly [field: number, value: Value]

export interface TreeModel {
  readonly trees: number
  readonly depth: number
  /** Elements of the vector. */
  readonly width: number
  readonly seed: number
  /** The weight of every leaf; random if left out. */
  readonly leaf?: number
}

export function treeModel({ trees, depth, width, seed, leaf }: TreeModel): Uint8Array {
  const random = seeded(seed)
  const inner = 2 ** depth - 1
  const perTree = 2 ** (depth + 1) - 1
  const nodes = Array.from({ length: trees * perTree }, (_, i) => ({ tree: Math.floor(i / perTree), id: i % perTree }))
  const leaves = nodes.filter(({ id }) => id >= inner)
  const isInner = ({ id }: { readonly id: number }) => id < inner
  const ensemble = node('TreeEnsembleRegressor', ['features'], ['sum'], 'ai.onnx.ml', [
    ['n_targets', 1],
    ['nodes_treeids', nodes.map(({ tree }) => tree)],
    ['nodes_nodeids', nodes.map(({ id }) => id)],
    ['nodes_featureids', nodes.map((at) => (isInner(at) ? random.below(width) : 0))],
    ['nodes_values', Float32Array.from(nodes, (at) => (isInner(at) ? random.below(2_000) / 1_000 - 1 : 0))],
    ['nodes_modes', nodes.map((at) => (isInner(at) ? 'BRANCH_LT' : 'LEAF'))],
    ['nodes_truenodeids', nodes.map((at) => (isInner(at) ? 2 * at.id + 1 : 0))],
    ['nodes_falsenodeids', nodes.map((at) => (isInner(at) ? 2 * at.id + 2 : 0))],
    ['target_treeids', leaves.map(({ tree }) => tree)],
    ['target_nodeids', leaves.map(({ id }) => id)],
    ['target_ids', leaves.map(() => 0)],
    ['target_weights', Float32Array.from(leaves, () => leaf ?? (random.below(2_000) / 1_000 - 1) / 10)],
  ])
  const graph = message(
    ensemble,
    node('Sigmoid', ['sum'], ['probabilities'], '', []),
    [2, 'trees'],
    [11, tensorInfo('features', width)],
    [12, tensorInfo('probabilities', 1)],
  )
  const opset = (domain: string, version: number): Field => [8, message([1, domain], [2, version])]
  return message([1, 8], [2, 'riverbank bench'], [7, graph], opset('', 17), opset('ai.onnx.ml', 3))
}

type Attribute = readonly [name: string, value: number | readonly number[] | readonly string[] | Float32Array]

/**
 * AttributeProto: i is 3 (type INT 2), floats 7 (FLOATS 6), ints 8 (INTS 7), strings 9 (STRINGS 8); the type is field
 * 20.
 */
function attribute([name, value]: Attribute): Field {
  if (typeof value === 'number') return [5, message([1, name], [3, value], [20, 2])]
  if (value instanceof Float32Array) {
    return [5, message([1, name], [7, new Uint8Array(value.buffer)], [20, 6])]
  }
  const isText = typeof value[0] === 'string'
  const items = value.map((item): Field => [isText ? 9 : 8, item])
  return [5, message([1, name], ...items, [20, isText ? 8 : 7])]
}

function node(
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  domain: string,
  attributes: readonly Attribute[],
): Field {
  const names = [...inputs.map((name): Field => [1, name]), ...outputs.map((name): Field => [2, name])]
  return [1, message(...names, [4, type], ...attributes.map(attribute), [7, domain])]
}

function tensorInfo(name: string, columns: number): Uint8Array {
  const shape = message([1, message([2, 'rows'])], [1, message([1, columns])])
  return message([1, name], [2, message([1, message([1, 1], [2, shape])])])
}

function message(...fields: readonly Field[]): Uint8Array {
  return new Uint8Array(Buffer.concat(fields.map(([field, value]) => encodeField(field, value))))
}

function encodeField(field: number, value: Value): Uint8Array {
  if (typeof value === 'number') return Buffer.concat([varint(field * 8), varint(value)])
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes])
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Uint8Array.from([...bytes, rest])
}
