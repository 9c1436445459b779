import { assert } from '../../../base/errors.ts'

/** Writes one value after the other into memory that has room for all of them, as Kafka's protocol spells them. */
export class BytesWriter {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  get position(): number {
    return this.#at
  }

  set position(at: number) {
    this.#at = at
  }

  int8(value: number): void {
    this.#at = this.#bytes.writeInt8(value, this.#at)
  }

  int16(value: number): void {
    this.#at = this.#bytes.writeInt16BE(value, this.#at)
  }

  int32(value: number): void {
    this.#at = this.#bytes.writeInt32BE(value, this.#at)
  }

  int64(value: number): void {
    this.#at = this.#bytes.writeBigInt64BE(BigInt(value), this.#at)
  }

  /** A count or a length, from -1 to 2^31 - 1: zigzag, then seven bits a byte. */
  varint(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    for (; rest > 0x7f; rest >>>= 7) this.#at = this.#bytes.writeUInt8((rest & 0x7f) | 0x80, this.#at)
    this.#at = this.#bytes.writeUInt8(rest, this.#at)
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** `bytes`: the length of the content in UTF-8. */
  content(content: string | Uint8Array, bytes: number): void {
    if (typeof content !== 'string') this.raw(content)
    else {
      const written = this.#bytes.write(content, this.#at)
      assert(written === bytes, 'a text has the length that it was measured with')
      this.#at += written
    }
  }

  /** A string with its length in 16 bits before it. */
  string(text: string): void {
    const bytes = Buffer.byteLength(text)
    this.int16(bytes)
    this.content(text, bytes)
  }
}

/** The bytes that a varint of at least 0 takes. */
export function varintBytes(value: number): number {
  if (value < 0x40) return 1
  if (value < 0x2000) return 2
  if (value < 0x10_0000) return 3
  return value < 0x800_0000 ? 4 : 5
}
