import { ZSTDDecoder } from 'zstddec'
import { need } from './damage.ts'

const frameMagic = 0xfd2fb528
const firstTryBytes = 262_144

const decoder = new ZSTDDecoder()

/** Call it before the first {@link decompressZstd}. Safe to call again. */
export function prepareZstd(): Promise<void> {
  return decoder.init()
}

/**
 * Refuses a frame that states too large a size before it allocates anything; a frame without a size (a stream, as Java
 * writes it) gets four times the room until it fits, at most `bytesMax`. The decoder uses only that room: it needs no
 * window.
 */
export function decompressZstd(compressed: Buffer, bytesMax: number): Buffer {
  const told = contentSize(compressed)
  if (told !== null) need(told <= bytesMax, `zstd: ${told} bytes, at most ${bytesMax} are read`)
  for (let room = Math.min(bytesMax, told ?? firstTryBytes); ; room = Math.min(bytesMax, room * 4)) {
    // The decoder answers nothing both for damage and for too little room.
    const found = decoder.decode(compressed, Math.max(1, room))
    if (found.length > 0) return Buffer.from(found.buffer, found.byteOffset, found.byteLength)
    need(room < bytesMax, `zstd: damaged, or more than ${bytesMax} bytes`)
  }
}

/** The content size of the first frame, null if it states none: a batch is one frame. */
function contentSize(bytes: Buffer): number | null {
  need(bytes.length >= 6 && bytes.readUInt32LE(0) === frameMagic, 'zstd: no frame')
  const descriptor = bytes.readUInt8(4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const at = 5 + (isSingleSegment ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0)
  const width = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  need(at + width <= bytes.length, 'zstd: the frame is cut')
  if (width === 0) return null
  if (width === 8) return Number(bytes.readBigUInt64LE(at))
  return bytes.readUIntLE(at, width) + (width === 2 ? 256 : 0)
}
