import { need } from './damage.ts'
import { byteAt } from '../../../base/arrays.ts'

/** Reads the parts of records: zigzag varints, and bytes with their length before them. */
export class Cursor {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  get position(): number {
    return this.#at
  }

  skip(bytes: number): void {
    need(this.#at + bytes <= this.#bytes.length, 'a record is cut')
    this.#at += bytes
  }

  /** A length or an offset: 32 bits. */
  varint(): number {
    let raw = 0
    for (let shift = 0; shift < 35; shift += 7) {
      need(this.#at < this.#bytes.length, 'a record is cut')
      const byte = byteAt(this.#bytes, this.#at)
      this.#at += 1
      raw |= (byte & 0x7f) << shift
      if (byte < 0x80) return (raw >>> 1) ^ -(raw & 1)
    }
    need(false, 'a number is too long')
  }

  /** A time: 64 bits; unused if the broker stamps the batch. */
  varlong(): bigint {
    let raw = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      need(this.#at < this.#bytes.length, 'a record is cut')
      const byte = byteAt(this.#bytes, this.#at)
      this.#at += 1
      raw |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return (raw >> 1n) ^ -(raw & 1n)
    }
    need(false, 'a number is too long')
  }

  skipVarint(): void {
    for (let length = 0; length < 10; length += 1) {
      need(this.#at < this.#bytes.length, 'a record is cut')
      const byte = byteAt(this.#bytes, this.#at)
      this.#at += 1
      if (byte < 0x80) return
    }
    need(false, 'a number is too long')
  }

  /** The length of the bytes that follow, -1 where there are none: they are in the batch. */
  length(): number {
    const length = this.varint()
    need(length >= -1 && this.#at + length <= this.#bytes.length, 'a record is cut')
    return length
  }

  /** Passes bytes with their length before them; answers the length, -1 where there are none. */
  skipBytes(): number {
    const length = this.length()
    if (length > 0) this.#at += length
    return length
  }

  /** Null where the length is -1. Shares the memory. */
  bytes(): Buffer | null {
    const length = this.skipBytes()
    return length === -1 ? null : this.#bytes.subarray(this.#at - length, this.#at)
  }
}
