import { fieldsOf, varintsOf } from './protobuf.ts'
import { tensorOf, type ConstantTensor } from './tensor.ts'

/** A node of the graph, with its attributes by name. Field numbers: onnx/onnx.proto (ONNX 1.23). */
export interface GraphNode {
  readonly domain: string
  readonly type: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
}

/** Only the kinds of attributes that tree ensembles have; a missing list is empty. */
export interface Attribute {
  readonly text: string
  readonly integer: number
  readonly floats: readonly number[]
  readonly integers: readonly number[]
  readonly strings: readonly string[]
  /** Null if the attribute is no tensor, or one of a type that is not read. */
  readonly tensor: ConstantTensor | null
}

/** An input or output: `type` is the element type as ONNX numbers it, null if it is no tensor. */
export interface GraphValue {
  readonly name: string
  readonly type: number | null
  /** Null if the file states none; a text is a length that may differ from run to run. */
  readonly shape: readonly (number | string)[] | null
}

export interface ModelGraph {
  readonly nodes: readonly GraphNode[]
  /** The inputs that a caller gives, without those that have a value in the file. */
  readonly inputs: readonly GraphValue[]
  readonly outputs: readonly GraphValue[]
  readonly constants: ReadonlyMap<string, ConstantTensor>
  /** Version of the standard operators, null if the model has none of them. */
  readonly opset: number | null
}

const utf8 = new TextDecoder()

/** The graph of a model, its nodes in their order. Throws a plain error when the bytes are no protobuf. */
export function readGraph(model: Uint8Array): ModelGraph {
  const [graph = new Uint8Array()] = [...messagesOf(model, 7)]
  const constants = new Map<string, ConstantTensor>()
  const named = new Set<string>()
  for (const message of messagesOf(graph, 5)) {
    const { name, tensor } = tensorOf(message)
    named.add(name)
    if (tensor !== null) constants.set(name, tensor)
  }
  return {
    nodes: [...messagesOf(graph, 1)].map(nodeOf),
    inputs: [...messagesOf(graph, 11)].map(valueOf).filter(({ name }) => !named.has(name)),
    outputs: [...messagesOf(graph, 12)].map(valueOf),
    constants,
    opset: opsetOf(model),
  }
}

export function* messagesOf(bytes: Uint8Array, number: number): Generator<Uint8Array> {
  for (const field of fieldsOf(bytes)) {
    if (field.number === number && field.wireType === 2) yield bytes.subarray(field.start, field.end)
  }
}

export function nodeOf(bytes: Uint8Array): GraphNode {
  const attributes = [...messagesOf(bytes, 5)].map(attributeOf)
  return {
    domain: textOf(bytes, 7),
    type: textOf(bytes, 4),
    inputs: textsOf(bytes, 1),
    outputs: textsOf(bytes, 2),
    attributes: new Map(attributes.map(({ name, ...attribute }) => [name, attribute])),
  }
}

/** Reads a ValueInfoProto. */
export function valueOf(bytes: Uint8Array): GraphValue {
  const name = textOf(bytes, 1)
  const [type] = [...messagesOf(bytes, 2)]
  const [tensor] = type === undefined ? [] : [...messagesOf(type, 1)]
  if (tensor === undefined) return { name, type: null, shape: null }
  const [shape] = [...messagesOf(tensor, 2)]
  const lengths = shape === undefined ? null : [...messagesOf(shape, 1)].map(lengthOf)
  return { name, type: numberOf(tensor, 1), shape: lengths }
}

/** Some exporters write zero for an unknown length. */
function lengthOf(dimension: Uint8Array): number | string {
  const length = numberOf(dimension, 1)
  return length > 0 ? length : textOf(dimension, 2)
}

function opsetOf(model: Uint8Array): number | null {
  for (const opset of messagesOf(model, 8)) {
    if (['', 'ai.onnx'].includes(textOf(opset, 1))) return numberOf(opset, 2)
  }
  return null
}

function textsOf(bytes: Uint8Array, number: number): string[] {
  return [...messagesOf(bytes, number)].map((text) => utf8.decode(text))
}

function textOf(bytes: Uint8Array, number: number): string {
  return textsOf(bytes, number).at(-1) ?? ''
}

function numberOf(bytes: Uint8Array, number: number): number {
  let found = 0
  for (const field of fieldsOf(bytes)) if (field.number === number) found = field.value
  return found
}

function attributeOf(bytes: Uint8Array): Attribute & { readonly name: string } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: { name: string; text: string; integer: number; tensor: ConstantTensor | null } = {
    ...{ name: '', text: '', integer: 0, tensor: null },
  }
  const [floats, integers, strings]: [number[], number[], string[]] = [[], [], []]
  for (const { number, wireType, start, end, value } of fieldsOf(bytes)) {
    const inside = bytes.subarray(start, end)
    if (number === 1) found.name = utf8.decode(inside)
    else if (number === 3) found.integer = value
    else if (number === 4) found.text = utf8.decode(inside)
    else if (number === 5) found.tensor = tensorOf(inside).tensor
    // Repeated numbers come one by one, or packed into one field.
    else if (number === 7) for (let at = start; at + 4 <= end; at += 4) floats.push(view.getFloat32(at, true))
    else if (number === 8 && wireType === 0) integers.push(value)
    else if (number === 8) integers.push(...varintsOf(inside))
    else if (number === 9) strings.push(utf8.decode(inside))
  }
  return { ...found, floats, integers, strings }
}
