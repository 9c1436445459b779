import { crc32c } from '@node-rs/crc32'

export interface BatchRecord {
  readonly key?: Buffer | null
  readonly value?: Buffer | null
  readonly headers?: readonly (readonly [Buffer, Buffer | null])[]
}

export interface BatchOptions {
  readonly base?: number
  readonly records: readonly BatchRecord[]
  readonly codec?: number
  readonly compress?: (bytes: Buffer) => Buffer
  readonly attributes?: number
  /** Of the first and of the newest record. */
  readonly timesMs?: readonly [first: number, newest: number]
  /** What each record's time adds to the first. */
  readonly timeDelta?: number
}

/** A batch of format 2, spelled out from the protocol's description: what a broker answers a fetch with. */
export function batchBytes({
  base = 0,
  records,
  codec = 0,
  compress = (b) => b,
  attributes = 8,
  timesMs = [1_000, 2_000],
  timeDelta = 7,
}: BatchOptions): Buffer {
  const payload = compress(Buffer.concat(records.map((record, index) => recordBytes(record, index, timeDelta))))
  const batch = Buffer.alloc(61)
  batch.writeBigInt64BE(BigInt(base), 0)
  batch.writeInt32BE(49 + payload.length, 8)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(attributes | codec, 21)
  batch.writeInt32BE(records.length - 1, 23)
  batch.writeBigInt64BE(BigInt(timesMs[0]), 27)
  batch.writeBigInt64BE(BigInt(timesMs[1]), 35)
  batch.writeBigInt64BE(-1n, 43)
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  batch.writeInt32BE(records.length, 57)
  return sealed(Buffer.concat([batch, payload]))
}

/** With the checksum that its bytes have. */
export function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

function recordBytes(
  { key = null, value = null, headers = [] }: BatchRecord,
  index: number,
  timeDelta: number,
): Buffer {
  const pairs = headers.flatMap(([name, text]) => [sized(name), sized(text)])
  const body = Buffer.concat([
    Buffer.of(0),
    varint(timeDelta),
    varint(index),
    sized(key),
    sized(value),
    varint(headers.length),
    ...pairs,
  ])
  return Buffer.concat([varint(body.length), body])
}

function sized(bytes: Buffer | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes])
}

export function varint(value: number): Buffer {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  const bytes: number[] = []
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}
