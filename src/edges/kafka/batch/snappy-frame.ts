import snappy from 'snappy'
import { need } from './damage.ts'

/** The first bytes of the Java library (xerial); two versions follow, which Redpanda writes in the other byte order. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeaderBytes = 16

/**
 * Decompresses one raw block, as librdkafka sends it, or blocks with their lengths before them, as Java does. Every
 * block states its size: the sum is compared with `bytesMax` before anything is allocated.
 */
export function decompressSnappy(compressed: Buffer, bytesMax: number): Buffer {
  const blocks = blocksOf(compressed)
  const bytes = blocks.reduce((sum, block) => sum + sizeOf(block), 0)
  need(bytes <= bytesMax, `snappy: ${bytes} bytes, at most ${bytesMax} are read`)
  const parts = blocks.map((block) => {
    const part = snappy.uncompressSync(block)
    need(typeof part !== 'string', 'snappy: text')
    return part
  })
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

function blocksOf(compressed: Buffer): Buffer[] {
  if (!compressed.subarray(0, xerialMagic.length).equals(xerialMagic)) return [compressed]
  const blocks: Buffer[] = []
  for (let at = xerialHeaderBytes; at < compressed.length;) {
    need(at + 4 <= compressed.length, 'snappy: a block is cut')
    const end = at + 4 + compressed.readUInt32BE(at)
    need(end <= compressed.length, 'snappy: a block is cut')
    blocks.push(compressed.subarray(at + 4, end))
    at = end
  }
  return blocks
}

/** The length at the start of a raw block: a varint of at most five bytes. */
function sizeOf(block: Buffer): number {
  let size = 0
  for (let i = 0; i < 5; i += 1) {
    need(i < block.length, 'snappy: a block is cut')
    const byte = block.readUInt8(i)
    size += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return size
  }
  need(false, 'snappy: no length')
}
