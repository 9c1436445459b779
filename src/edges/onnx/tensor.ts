import { fieldsOf, varintsOf } from './protobuf.ts'

/** Constant numbers in the file. */
export interface ConstantTensor {
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

/** Element types of ONNX that are read here, as onnx.proto numbers them. */
export const elementTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, string: 8, bool: 9, float64: 11 } as const

const utf8 = new TextDecoder()

/** Reads a TensorProto: its name, and its numbers if their type is one of {@link elementTypes}. */
export function tensorOf(bytes: Uint8Array): { readonly name: string; readonly tensor: ConstantTensor | null } {
  let [name, type] = ['', 0]
  let raw: Uint8Array | null = null
  const [shape, values]: [number[], number[]] = [[], []]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const { number, wireType, start, end, value } of fieldsOf(bytes)) {
    const inside = bytes.subarray(start, end)
    if (number === 1) shape.push(...(wireType === 0 ? [value] : varintsOf(inside)))
    else if (number === 2) type = value
    else if (number === 4) for (let at = start; at + 4 <= end; at += 4) values.push(view.getFloat32(at, true))
    else if (number === 5 || number === 7) values.push(...(wireType === 0 ? [value] : varintsOf(inside)))
    else if (number === 8) name = utf8.decode(inside)
    else if (number === 9) raw = inside
    else if (number === 10) for (let at = start; at + 8 <= end; at += 8) values.push(view.getFloat64(at, true))
  }
  const numbers = raw === null ? values : rawNumbers(raw, type)
  return { name, tensor: numbers === null ? null : { shape, values: numbers } }
}

function rawNumbers(raw: Uint8Array, type: number): number[] | null {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const list = (size: number, read: (at: number) => number) =>
    Array.from({ length: Math.floor(raw.length / size) }, (_, i) => read(i * size))
  switch (type) {
    case elementTypes.float32:
      return list(4, (at) => view.getFloat32(at, true))
    case elementTypes.float64:
      return list(8, (at) => view.getFloat64(at, true))
    case elementTypes.int32:
      return list(4, (at) => view.getInt32(at, true))
    case elementTypes.int64:
      return list(8, (at) => Number(view.getBigInt64(at, true)))
    case elementTypes.uint8:
      return [...raw]
    default:
      return null
  }
}
