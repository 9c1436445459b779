import { nodeOf, readGraph, valueOf, type GraphNode, type GraphValue, type ModelGraph } from './graph.ts'
import { columnsOf } from './manifest.ts'
import { changedFields, fieldBytes, joined, messageOf, type Written } from './protobuf.ts'
import { checkSignature, classesOf, isZipMap, type StatedSignature } from './signature.ts'
import { elementTypes } from './tensor.ts'

/** Names of the values that this service adds to a graph; no exporter writes such names. */
const added = { vector: 'riverbank.vector', probability: 'riverbank.probability' } as const
/** The version of the standard operators for a model that has none of them (CatBoost): old enough for any runtime. */
const opsetByDefault = 13

/** A model in the form that a scorer calls, whatever form its file has. */
export interface Adaptation {
  /** The file itself if nothing had to change. */
  readonly model: Uint8Array
  readonly graph: ModelGraph
  /** The input: float32, rows × features. */
  readonly input: string
  /** The output: float32, rows × `columns`, or rows if that is 1. */
  readonly output: string
  readonly columns: number
}

/**
 * Brings a model that was exported with the defaults of its library into the form of one float32 matrix in, one out. It
 * changes the graph around the model, never a number in it:
 * - a map by class (ZipMap) becomes the matrix from which it is made, a column per class, under the same name;
 * - an input of float64 is cast from the vector; one input per feature is cut out of it and cast;
 * - a probability of float64 is cast to float32.
 * Throws `model_refused` (`signature_mismatch`, with the change to make in the export) when the file is not as stated
 * or has no such form, and a plain error when the bytes are no protobuf.
 */
export function adaptModel(file: Uint8Array, stated: StatedSignature): Adaptation {
  const original = readGraph(file)
  if (original.inputs.length === 0 || original.outputs.length === 0) throw new Error('it takes or answers nothing')
  checkSignature(original, stated)
  const before = inputNodes(original)
  const after = outputNodes(original, stated)
  const isChanged = before.length + after.length > 0 || original.nodes.some(isZipMap)
  const model = isChanged ? changedModel(file, original, { before, after, width: stated.features.length }) : file
  return {
    model,
    graph: isChanged ? readGraph(model) : original,
    input: before.length > 0 ? added.vector : (original.inputs[0]?.name ?? ''),
    output: after.length > 0 ? added.probability : stated.probability.output,
    columns: columnsOf(stated.outputs.find(({ name }) => name === stated.probability.output)?.shape ?? []),
  }
}

/** The nodes from the vector to the inputs of the file, which keep their names. */
function inputNodes({ inputs, opset }: ModelGraph): Uint8Array[] {
  const [only] = inputs
  if (inputs.length === 1 && only !== undefined) {
    return only.type === elementTypes.float32 ? [] : [cast(added.vector, only.name, only.type ?? 0)]
  }
  const cut = ({ name, type }: GraphValue) => (type === elementTypes.float32 ? name : `riverbank.column.${name}`)
  // From version 18 on Split needs the number of parts.
  const parts = (opset ?? opsetByDefault) >= 18 ? [integer('num_outputs', inputs.length)] : []
  const split = node('Split', [added.vector], inputs.map(cut), [integer('axis', 1), ...parts])
  const casts = inputs.filter(({ type }) => type !== elementTypes.float32)
  return [split, ...casts.map((value) => cast(cut(value), value.name, value.type ?? 0))]
}

function outputNodes({ outputs }: ModelGraph, { probability }: Pick<StatedSignature, 'probability'>): Uint8Array[] {
  const value = outputs.find(({ name }) => name === probability.output)
  return value?.type === elementTypes.float64 ? [cast(value.name, added.probability, elementTypes.float32)] : []
}

interface Additions {
  readonly before: readonly Uint8Array[]
  readonly after: readonly Uint8Array[]
  readonly width: number
}

function changedModel(file: Uint8Array, original: ModelGraph, additions: Additions): Uint8Array {
  const model = changedFields(file, 7, (graph) => [changedGraph(graph, original, additions)])
  if (original.opset !== null) return model
  const opset = messageOf([
    [1, ''],
    [2, opsetByDefault],
  ])
  return joined([model, fieldBytes([8, opset])])
}

/** Nodes stand in the order in which they run: those of the vector come first, that of the probability last. */
function changedGraph(graph: Uint8Array, original: ModelGraph, { before, after, width }: Additions): Uint8Array {
  const maps = new Map(original.nodes.filter(isZipMap).map((map) => [map.outputs[0], map]))
  const given = new Set(original.inputs.map(({ name }) => name))
  const nodes = changedFields(graph, 1, (bytes) => matrixInsteadOfMap(nodeOf(bytes)))
  const outputs = changedFields(nodes, 12, (bytes) => {
    const map = maps.get(valueOf(bytes).name)
    return map === undefined ? null : [matrix(valueOf(bytes).name, classesOf(map))]
  })
  const rest =
    before.length === 0 ? outputs : changedFields(outputs, 11, (b) => (given.has(valueOf(b).name) ? [] : null))
  const list = (number: number, messages: readonly Uint8Array[]) => messages.map((one) => fieldBytes([number, one]))
  return joined([
    ...list(1, before),
    rest,
    ...list(1, after),
    ...list(11, before.length === 0 ? [] : [matrix(added.vector, width)]),
    ...list(12, after.length === 0 ? [] : [matrix(added.probability, null)]),
  ])
}

function matrixInsteadOfMap(one: GraphNode): readonly Uint8Array[] | null {
  return isZipMap(one) ? [node('Identity', one.inputs.slice(0, 1), one.outputs)] : null
}

function cast(from: string, to: string, type: number): Uint8Array {
  return node('Cast', [from], [to], [integer('to', type)])
}

/** A NodeProto of the standard operators. */
function node(
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[] = [],
): Uint8Array {
  const names = (number: number, list: readonly string[]) => list.map((name): Written => [number, name])
  return messageOf([
    ...names(1, inputs),
    ...names(2, outputs),
    [4, type],
    ...attributes.map((one): Written => [5, one]),
  ])
}

function integer(name: string, value: number): Uint8Array {
  return messageOf([
    [1, name],
    [3, value],
    [20, 2],
  ])
}

/** A ValueInfoProto of float32: rows × columns, or without a shape. */
function matrix(name: string, columns: number | null): Uint8Array {
  const rows: Written = [1, messageOf([[2, 'rows']])]
  const shape: Written[] = columns === null ? [] : [[2, messageOf([rows, [1, messageOf([[1, columns]])]])]]
  const tensor = messageOf([[1, elementTypes.float32], ...shape])
  return messageOf([
    [1, name],
    [2, messageOf([[1, tensor]])],
  ])
}
