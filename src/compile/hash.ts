import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

const encoder = new TextEncoder()

/** sha256 of the text's UTF-8 bytes, hex. */
export function hashText(text: string): string {
  return bytesToHex(sha256(encoder.encode(text)))
}

/** The first 32 bits of {@link hashText}. */
export function hash32(text: string): number {
  return Number.parseInt(hashText(text).slice(0, 8), 16)
}

/** JSON with sorted keys: equal values are equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
