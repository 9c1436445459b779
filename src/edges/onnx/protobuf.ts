/** One field of a message, as protobuf writes it: https://protobuf.dev/programming-guides/encoding. */
export interface Field {
  readonly number: number
  /** 0 varint, 1 eight bytes, 2 with a length, 5 four bytes. */
  readonly wireType: number
  /** Its bytes, without tag and length. */
  readonly start: number
  readonly end: number
  /** Of a varint; 0 otherwise. Exact up to 2^53. */
  readonly value: number
}

/** The fields of a message in their order. Throws a plain error when the bytes are no protobuf. */
export function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  for (let at = 0; at < bytes.length;) {
    const field = fieldAt(bytes, at)
    if (field.end > bytes.length) throw new Error(`a field ends after the file, at byte ${field.end}`)
    yield field
    at = field.end
  }
}

/** Varints without anything between them: how numbers of a repeated field may be written. */
export function* varintsOf(bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length;) {
    const { value, next } = varint(bytes, at)
    yield value
    at = next
  }
}

function fieldAt(bytes: Uint8Array, at: number): Field {
  const tag = varint(bytes, at)
  const [number, wireType, start] = [Math.floor(tag.value / 8), tag.value % 8, tag.next]
  if (wireType === 1) return { number, wireType, start, end: start + 8, value: 0 }
  if (wireType === 5) return { number, wireType, start, end: start + 4, value: 0 }
  const { value, next } = varint(bytes, start)
  if (wireType === 0) return { number, wireType, start, end: next, value }
  if (wireType === 2) return { number, wireType, start: next, end: next + value, value: 0 }
  throw new Error(`wire type ${wireType} at byte ${start}`)
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
