import { Redis } from 'ioredis'
import type { EntityKey, StateWrite } from '../../src/ports/states.ts'

const hourMs = 3_600_000

/** As state blobs begin: format, sequence (8 bytes), checksum (4 bytes). */
export function blob(sequence: number, checksum = 0, payload = ''): Uint8Array {
  const bytes = Buffer.alloc(13 + Buffer.byteLength(payload))
  bytes[0] = 1
  bytes.writeBigUInt64BE(BigInt(sequence), 1)
  bytes.writeUInt32BE(checksum, 9)
  bytes.write(payload, 13)
  return new Uint8Array(bytes)
}

const version = (bytes: Uint8Array) => bytes.subarray(1, 13)

export const sequenceOf = (bytes: Uint8Array) => Number(Buffer.from(bytes).readBigUInt64BE(1))

export const customer = (id: string): EntityKey => ({ entity: 'customer', id })

export function write(key: EntityKey, before: Uint8Array | null, after: Uint8Array): StateWrite {
  return { key, expected: before === null ? null : version(before), blob: after, ttlMs: hourMs }
}

/** FLUSHALL on each: what they held is gone, and nobody is disconnected. */
export async function emptyServers(servers: readonly { readonly url: string }[]): Promise<void> {
  for (const { url } of servers) {
    const redis = new Redis(url)
    await redis.flushall()
    redis.disconnect()
  }
}
