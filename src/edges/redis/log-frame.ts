import type { LogRecord, OutgoingRecord } from '../../ports.ts'
import { asBuffer } from './connection.ts'

/*
 * A record is one field of one stream entry, because the number of reply elements is what reading costs in Node:
 *   bytes 0-7    append time in milliseconds, a big-endian double; the append script puts it there
 *   bytes 8-11   length of the key, bytes 12-15 length of the headers (JSON, none when there are no headers)
 *   then key, headers and value.
 */
const timeBytes = 8
const lengthsBytes = 8
const noHeaders: Readonly<Record<string, string>> = Object.freeze({})

/** What memory an entry takes besides its frame, roughly: the counter of retentionBytes adds it. */
export const entryOverheadBytes = 32

/** The frame without its time. */
export function encodeFrame(record: OutgoingRecord): Buffer {
  const { key, value, headers } = record
  const keyBytes = Buffer.byteLength(key)
  const headersText = headers === undefined || isEmpty(headers) ? '' : JSON.stringify(headers)
  const headersBytes = Buffer.byteLength(headersText)
  const valueAt = lengthsBytes + keyBytes + headersBytes
  const frame = Buffer.allocUnsafe(valueAt + (typeof value === 'string' ? Buffer.byteLength(value) : value.length))
  frame.writeUInt32BE(keyBytes, 0)
  frame.writeUInt32BE(headersBytes, 4)
  frame.write(key, lengthsBytes, 'utf8')
  frame.write(headersText, lengthsBytes + keyBytes, 'utf8')
  if (typeof value === 'string') frame.write(value, valueAt, 'utf8')
  else frame.set(asBuffer(value), valueAt)
  return frame
}

/** Key, headers and value of a frame: what `maxRecordBytes` limits. */
export function recordBytes(frame: Buffer): number {
  return frame.length - lengthsBytes
}

/** `stored` is the frame with its time. The value shares its memory. */
export function decodeFrame(topic: string, partition: number, offset: number, stored: Buffer): LogRecord {
  const keyAt = timeBytes + lengthsBytes
  const headersAt = keyAt + stored.readUInt32BE(timeBytes)
  const valueAt = headersAt + stored.readUInt32BE(timeBytes + 4)
  return {
    topic,
    partition,
    offset,
    appendTimeMs: stored.readDoubleBE(0),
    key: stored.toString('utf8', keyAt, headersAt),
    value: stored.subarray(valueAt),
    headers: valueAt === headersAt ? noHeaders : parseHeaders(stored.toString('utf8', headersAt, valueAt)),
  }
}

function isEmpty(headers: Readonly<Record<string, string>>): boolean {
  for (const name in headers) if (Object.hasOwn(headers, name)) return false
  return true
}

function parseHeaders(json: string): Readonly<Record<string, string>> {
  return JSON.parse(json) as Record<string, string>
}
