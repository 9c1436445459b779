import { readFileSync, writeFileSync } from 'node:fs'

/** Flips one bit in the middle of a file, in place, as a disk does. */
export function flipBit(path: string): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length / 2)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(path, bytes)
}
