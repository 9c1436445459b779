import { RiverbankError } from './errors.ts'

const twoTo32 = 2 ** 32
/** Copies are few, and for a moment: one that is kept keeps all that share its memory. */
const sharedBytes = 64 * 1024

/** Appends numbers to a buffer that grows. Integers are LEB128, so small ones take one byte. */
export class ByteWriter {
  private bytes: Uint8Array
  private view: DataView
  private length = 0
  private shared = { bytes: new Uint8Array(0), used: 0 }

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Forgets what was written and keeps the memory. */
  reset(): void {
    this.length = 0
  }

  /** A copy of what was written. Copies share memory: one of its own costs more than what is written into it. */
  take(): Uint8Array {
    const end = this.shared.used + this.length
    if (end > this.shared.bytes.length)
      this.shared = { bytes: new Uint8Array(Math.max(sharedBytes, this.length)), used: 0 }
    const { bytes, used } = this.shared
    const taken = bytes.subarray(used, used + this.length)
    taken.set(this.bytes.subarray(0, this.length))
    this.shared.used += this.length
    return taken
  }

  get position(): number {
    return this.length
  }

  /** What was written from a position on; valid until the next write. */
  since(position: number): Uint8Array {
    return this.bytes.subarray(position, this.length)
  }

  /** Bytes as they are. */
  copy(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length] = value
    this.length += 1
  }

  uint32(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.length, value)
    this.length += 4
  }

  /** Big-endian, so that equal numbers are equal bytes and order is kept. 0 ≤ value ≤ 2^53. */
  uint64(value: number): void {
    this.uint32(Math.floor(value / twoTo32))
    this.uint32(value % twoTo32)
  }

  /** 0 ≤ value ≤ 2^53. */
  unsigned(value: number): void {
    this.reserve(8)
    let rest = value
    while (rest >= 0x80000000) {
      this.bytes[this.length] = (rest % 128) | 128
      this.length += 1
      rest = Math.floor(rest / 128)
    }
    while (rest >= 128) {
      this.bytes[this.length] = (rest & 127) | 128
      this.length += 1
      rest >>>= 7
    }
    this.bytes[this.length] = rest
    this.length += 1
  }

  /** |value| ≤ 2^52. */
  signed(value: number): void {
    this.unsigned(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  double(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.length, value)
    this.length += 8
  }
}

/** Reads what {@link ByteWriter} wrote. Running past the end is `state_corrupt`. */
export class ByteReader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private position: number

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
  }

  get done(): boolean {
    return this.position === this.bytes.length
  }

  private advance(count: number): number {
    const at = this.position
    if (at + count > this.bytes.length) throw new RiverbankError('state_corrupt', 'the state ends too early')
    this.position = at + count
    return at
  }

  byte(): number {
    return this.view.getUint8(this.advance(1))
  }

  /** The next bytes, in the memory that is read. */
  take(count: number): Uint8Array {
    const at = this.advance(count)
    return this.bytes.subarray(at, at + count)
  }

  /** A text of so many bytes, without a view of them; null, and nothing is read, when it is not all ASCII. */
  ascii(count: number): string | null {
    const { bytes, position } = this
    const codes: number[] = []
    for (let at = position; at < position + count; at += 1) {
      const byte = bytes[at]
      if (byte === undefined || byte > 127) return null
      codes.push(byte)
    }
    this.position += count
    return String.fromCharCode(...codes)
  }

  uint32(): number {
    return this.view.getUint32(this.advance(4))
  }

  uint64(): number {
    const high = this.uint32()
    return high * twoTo32 + this.uint32()
  }

  unsigned(): number {
    const { bytes } = this
    const first = bytes[this.position]
    // Most numbers take one byte.
    if (first !== undefined && first < 128) {
      this.position += 1
      return first
    }
    let value = 0
    let factor = 1
    for (;;) {
      const byte = bytes[this.position]
      if (byte === undefined) throw new RiverbankError('state_corrupt', 'the state ends too early')
      this.position += 1
      value += (byte & 127) * factor
      if (byte < 128) return value
      factor *= 128
    }
  }

  signed(): number {
    const value = this.unsigned()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  double(): number {
    return this.view.getFloat64(this.advance(8))
  }
}

/** A 32-bit murmur3-style checksum of `bytes` from `start` to `end`. Finds damage, not attackers. */
export function checksum(bytes: Uint8Array, start: number, end = bytes.length): number {
  const words = start + ((end - start) & ~3)
  let hash = 0x9747b28c
  let at = start
  // Without a view of the bytes: to make one costs as much as the checksum of a small state.
  for (; at < words; at += 4) {
    const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
    hash = mix(hash, low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24))
  }
  for (; at < end; at += 1) hash = mix(hash, bytes[at] ?? 0)
  hash ^= end
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  const h = hash ^ k
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
}
