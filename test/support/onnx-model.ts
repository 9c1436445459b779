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
