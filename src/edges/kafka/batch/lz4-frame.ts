import lz4 from 'lz4-napi'
import { need } from './damage.ts'

const frameMagic = 0x184d2204
/** Sixteen magics of frames without content follow from this one. */
const skippableMagic = 0x184d2a50
const blockMaxBytes: Readonly<Record<number, number>> = { 4: 65_536, 5: 262_144, 6: 1_048_576, 7: 4_194_304 }
/** A byte of a length in an LZ4 block stands for at most 255 bytes. */
const expansionMax = 255
const rawBlockBit = 0x8000_0000

/**
 * Refuses a frame that could hold more than `bytesMax` before it allocates anything: a frame states the largest size
 * and the number of its blocks. (Its content size is optional and unproven.)
 */
export function decompressLz4(compressed: Buffer, bytesMax: number): Buffer {
  let bound = 0
  for (let at = 0; at < compressed.length;) {
    const frame = frameAt(compressed, at)
    bound += frame.bound
    need(bound <= bytesMax, `lz4: up to ${bound} bytes, at most ${bytesMax} are read`)
    at = frame.end
  }
  return lz4.decompressFrameSync(compressed)
}

function frameAt(bytes: Buffer, at: number): { readonly bound: number; readonly end: number } {
  need(at + 7 <= bytes.length, 'lz4: the frame is cut')
  const magic = bytes.readUInt32LE(at)
  if ((magic & 0xffff_fff0) >>> 0 === skippableMagic) return { bound: 0, end: at + 8 + sizeAt(bytes, at + 4) }
  need(magic === frameMagic, 'lz4: no frame')
  const flags = bytes.readUInt8(at + 4)
  const [hasBlockSums, hasSize, hasSum, hasDictionary] = [0x10, 0x08, 0x04, 0x01].map((bit) => (flags & bit) !== 0)
  const blockMax = blockMaxBytes[(bytes.readUInt8(at + 5) >> 4) & 7]
  need(blockMax !== undefined, 'lz4: an unknown block size')
  need(hasDictionary !== true, 'lz4: a dictionary is asked for')
  let bound = 0
  let next = at + 7 + (hasSize === true ? 8 : 0)
  for (;;) {
    const size = sizeAt(bytes, next)
    next += 4
    if (size === 0) break
    const stored = size & ~rawBlockBit
    bound += size >= rawBlockBit ? stored : Math.min(blockMax, stored * expansionMax)
    next += stored + (hasBlockSums === true ? 4 : 0)
  }
  return { bound, end: next + (hasSum === true ? 4 : 0) }
}

function sizeAt(bytes: Buffer, at: number): number {
  need(at + 4 <= bytes.length, 'lz4: the frame is cut')
  return bytes.readUInt32LE(at)
}
