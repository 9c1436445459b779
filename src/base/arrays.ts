/*
 * Elements that are there: an index beyond the end is a mistake of the program. A function per kind of array, because
 * V8 compiles a function for the arrays that it has seen: one function for all kinds would be slow for each. The loops
 * that every event goes through read their elements in place: lists of the whole program had made these functions slow.
 */

export function doubleAt(doubles: Float64Array, index: number): number {
  return doubles[index] ?? outside(index)
}

export function floatAt(floats: Float32Array, index: number): number {
  return floats[index] ?? outside(index)
}

export function intAt(integers: Int32Array, index: number): number {
  return integers[index] ?? outside(index)
}

export function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? outside(index)
}

/** Of a list of numbers; doubles side by side, where the list never held anything else. */
export function numberAt(numbers: readonly number[], index: number): number {
  return numbers[index] ?? outside(index)
}

/** Of a list of anything else that is never null or undefined. */
export function itemAt<Item extends object | string>(items: readonly Item[], index: number): Item {
  return items[index] ?? outside(index)
}

function outside(index: number): never {
  throw new Error(`there is no element ${index}`)
}
