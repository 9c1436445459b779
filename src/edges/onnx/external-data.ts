import { fieldsOf } from './protobuf.ts'

/**
 * A walk over the protobuf of an ONNX model that finds tensors stored outside the file. ONNX Runtime would open the
 * paths they name, which neither the sha256 nor the size limit covers. Field numbers: onnx/onnx.proto (ONNX 1.23).
 */
interface Message {
  /** Fields that are messages to walk into, by number. */
  readonly children: Readonly<Record<number, string>>
  /** TensorProto: field numbers that point outside. */
  readonly external?: readonly number[]
}

const messages: Readonly<Record<string, Message>> = {
  model: { children: { 7: 'graph', 20: 'training', 25: 'function' } },
  training: { children: { 1: 'graph', 2: 'graph' } },
  function: { children: { 7: 'node', 11: 'attribute' } },
  graph: { children: { 1: 'node', 5: 'tensor', 15: 'sparse' } },
  node: { children: { 5: 'attribute' } },
  attribute: { children: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' } },
  sparse: { children: { 1: 'tensor', 2: 'tensor' } },
  // external_data names the place, data_location turns it on; neither belongs in a model that is one file.
  tensor: { children: {}, external: [13, 14] },
}

const depthMax = 64

/** True when a tensor of the model has its data elsewhere. Throws a plain error when the bytes are no protobuf. */
export function hasExternalData(model: Uint8Array): boolean {
  return walk(model, 'model', 0)
}

function walk(bytes: Uint8Array, name: string, depth: number): boolean {
  if (depth > depthMax) throw new Error(`nested deeper than ${depthMax} messages`)
  const message = messages[name]
  if (message === undefined) throw new Error(`no message ${name}`)
  for (const { number, wireType, start, end, value } of fieldsOf(bytes)) {
    if (message.external?.includes(number) === true && (number !== 14 || value !== 0)) return true
    const child = message.children[number]
    if (child !== undefined && wireType === 2 && walk(bytes.subarray(start, end), child, depth + 1)) return true
  }
  return false
}
