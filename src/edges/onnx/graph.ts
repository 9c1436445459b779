import { fieldsOf, varintsOf } from './protobuf.ts'

/** A node of the graph, with its attributes by name. Field numbers: onnx/onnx.proto (ONNX 1.23). */
export interface GraphNode {
  readonly domain: string
  readonly type: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
}

/** Only the kinds that tree ensembles have; a list that is not there is empty. */
export interface Attribute {
  readonly text: string
  readonly integer: number
  readonly floats: readonly number[]
  readonly integers: readonly number[]
  readonly strings: readonly string[]
  /** True of an attribute that is a tensor or a graph. */
  readonly isOther: boolean
}

const utf8 = new TextDecoder()

/** The nodes of the model's graph, in their order. Throws a plain error when the bytes are no protobuf. */
export function graphNodes(model: Uint8Array): GraphNode[] {
  const nodes: GraphNode[] = []
  for (const graph of messagesOf(model, 7)) for (const node of messagesOf(graph, 1)) nodes.push(nodeOf(node))
  return nodes
}

function* messagesOf(bytes: Uint8Array, number: number): Generator<Uint8Array> {
  for (const field of fieldsOf(bytes)) {
    if (field.number === number && field.wireType === 2) yield bytes.subarray(field.start, field.end)
  }
}

function nodeOf(bytes: Uint8Array): GraphNode {
  const texts = (number: number) => [...messagesOf(bytes, number)].map((text) => utf8.decode(text))
  const attributes = [...messagesOf(bytes, 5)].map(attributeOf)
  return {
    domain: texts(7).at(-1) ?? '',
    type: texts(4).at(-1) ?? '',
    inputs: texts(1),
    outputs: texts(2),
    attributes: new Map(attributes.map(({ name, ...attribute }) => [name, attribute])),
  }
}

function attributeOf(bytes: Uint8Array): Attribute & { readonly name: string } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = { name: '', text: '', integer: 0, isOther: false }
  const [floats, integers, strings]: [number[], number[], string[]] = [[], [], []]
  for (const { number, wireType, start, end, value } of fieldsOf(bytes)) {
    const inside = bytes.subarray(start, end)
    if (number === 1) found.name = utf8.decode(inside)
    else if (number === 3) found.integer = value
    else if (number === 4) found.text = utf8.decode(inside)
    // Repeated numbers come one by one, or packed into one field.
    else if (number === 7) for (let at = start; at + 4 <= end; at += 4) floats.push(view.getFloat32(at, true))
    else if (number === 8 && wireType === 0) integers.push(value)
    else if (number === 8) integers.push(...varintsOf(inside))
    else if (number === 9) strings.push(utf8.decode(inside))
    else if ([5, 6, 10, 11].includes(number)) found.isOther = true
  }
  return { ...found, floats, integers, strings }
}
