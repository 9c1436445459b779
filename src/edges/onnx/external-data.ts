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
  // external_data names the place, data_location says that it counts; neither belongs in a model that is one file.
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
  let at = 0
  while (at < bytes.length) {
    const tag = varint(bytes, at)
    const field = Math.floor(tag.value / 8)
    const { start, end, value } = fieldAt(bytes, tag.next, tag.value % 8)
    if (message.external?.includes(field) === true && (field !== 14 || value !== 0)) return true
    const child = message.children[field]
    if (child !== undefined && tag.value % 8 === 2 && walk(bytes.subarray(start, end), child, depth + 1)) return true
    at = end
  }
  return false
}

interface Field {
  readonly start: number
  readonly end: number
  /** Of a varint; 0 otherwise. */
  readonly value: number
}

function fieldAt(bytes: Uint8Array, at: number, wireType: number): Field {
  const field = fieldOf(bytes, at, wireType)
  if (field.end > bytes.length) throw new Error(`a field ends after the file, at byte ${field.end}`)
  return field
}

function fieldOf(bytes: Uint8Array, at: number, wireType: number): Field {
  if (wireType === 1) return { start: at, end: at + 8, value: 0 }
  if (wireType === 5) return { start: at, end: at + 4, value: 0 }
  const { value, next } = varint(bytes, at)
  if (wireType === 0) return { start: at, end: next, value }
  if (wireType === 2) return { start: next, end: next + value, value: 0 }
  throw new Error(`wire type ${wireType} at byte ${at}`)
}

function varint(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0
  let scale = 1
  for (let next = at; next < at + 10; next += 1) {
    const byte = bytes[next]
    if (byte === undefined) break
    value += (byte & 0x7f) * scale
    scale *= 128
    if (byte < 0x80) return { value, next: next + 1 }
  }
  throw new Error(`no number at byte ${at}`)
}
