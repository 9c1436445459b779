/** One field of a message, as protobuf writes it: https://protobuf.dev/programming-guides/encoding. */
export interface Field {
  readonly number: number
  /** 0 varint, 1 eight bytes, 2 with a length, 5 four bytes. */
  readonly wireType: number
  /** Its bytes, without tag and length. */
  readonly start: number
  readonly end: number
  /** The value of a varint; 0 otherwise. Exact from −2^53 to 2^53. */
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

/** Reads packed varints: a repeated field may hold its numbers so. */
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
  if (wireType === 2 && value >= 0) return { number, wireType, start: next, end: next + value, value: 0 }
  throw new Error(`wire type ${wireType} at byte ${start}`)
}

function varint(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0
  let complement = 0
  let scale = 1
  for (let next = at; next < at + 10; next += 1) {
    const byte = bytes[next]
    if (byte === undefined) break
    // The tenth byte is the sign: protobuf writes a negative number as 64 bits of two's complement.
    if (next === at + 9 && byte === 1) return { value: -1 - complement, next: next + 1 }
    value += (byte & 0x7f) * scale
    complement += (0x7f & ~byte) * scale
    scale *= 128
    if (byte < 0x80) return { value, next: next + 1 }
  }
  throw new Error(`no number at byte ${at}`)
}

/** A field to write: a number as varint, everything else with its length. */
export type Written = readonly [number: number, value: number | string | Uint8Array]

const encoder = new TextEncoder()

/** A message of these fields, in this order. */
export function messageOf(fields: readonly Written[]): Uint8Array {
  return joined(fields.map(fieldBytes))
}

export function fieldBytes([number, value]: Written): Uint8Array {
  if (typeof value === 'number') return joined([varintBytes(number * 8), varintBytes(value)])
  const bytes = typeof value === 'string' ? encoder.encode(value) : value
  return joined([varintBytes(number * 8 + 2), varintBytes(bytes.length), bytes])
}

/**
 * The same message with each field of one number replaced by those that `change` answers: an empty list drops the
 * field, null keeps it.
 */
export function changedFields(
  bytes: Uint8Array,
  number: number,
  change: (inside: Uint8Array) => readonly Uint8Array[] | null,
): Uint8Array {
  const parts: Uint8Array[] = []
  let from = 0
  for (const field of fieldsOf(bytes)) {
    const inside = bytes.subarray(field.start, field.end)
    const changed = field.number === number && field.wireType === 2 ? change(inside) : null
    if (changed === null) parts.push(bytes.subarray(from, field.end))
    else for (const one of changed) parts.push(fieldBytes([number, one]))
    from = field.end
  }
  return joined(parts)
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}
