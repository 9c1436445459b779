import { gunzipSync } from 'node:zlib'
import { Damage } from './damage.ts'
import { decompressLz4 } from './lz4-frame.ts'
import { decompressSnappy } from './snappy-frame.ts'
import { decompressZstd } from './zstd-frame.ts'

/** By the number of the codec in a batch. */
const codecs: Readonly<Record<number, (compressed: Buffer, bytesMax: number) => Buffer>> = {
  0: (bytes) => bytes,
  1: (compressed, bytesMax) => gunzipSync(compressed, { maxOutputLength: bytesMax }),
  2: decompressSnappy,
  3: decompressLz4,
  4: decompressZstd,
}

/**
 * Decompresses to at most `bytesMax` bytes, or throws {@link Damage}: also if a library refuses, or for an unknown
 * codec.
 */
export function decompress(codec: number, compressed: Buffer, bytesMax: number): Buffer {
  const decode = codecs[codec]
  if (decode === undefined) throw new Damage(`the codec ${codec} is not known`)
  try {
    return decode(compressed, bytesMax)
  } catch (error) {
    if (error instanceof Damage) throw error
    throw new Damage(`codec ${codec}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
