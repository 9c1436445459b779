import { isUtf8 } from 'node:buffer'
import { latestMs } from '../../../events/envelope.ts'
import { structuredHeaders } from '../../../events/event.ts'
import type { ExactHeader, ExactParts } from '../../../events/codec/record-parts.ts'
import type { LogRecord, OutgoingRecord } from '../../../ports/log.ts'
import { asBuffer } from '../server/connection.ts'

/*
 * A record is one field of one stream entry, because in Node the number of reply elements decides the cost of reading.
 * The field's name is `r` and the append time in milliseconds: the append script knows it only then, and in a frame it
 * would cost Redis a copy of each. The field's value is the frame:
 *   bytes 0-3    length of the key, bytes 4-7 length of the headers (JSON, none when there are no headers)
 *   then key, headers and value.
 * Headers that no object of texts can hold are a list: whether the value is null, then [name, value or null] in base64.
 */
const lengthsBytes = 8
/** Which of them a topic holds. Before, the field was `r` and the time stood in the frame; such a topic says none. */
export const entryFormat = '2'
/** The length of a null key. */
const nullKey = 0xffff_ffff
const noHeaders: Readonly<Record<string, string>> = Object.freeze({})

/** The memory of an entry besides its frame, roughly: the counter of retentionBytes adds it. */
export const entryOverheadBytes = 40

export function encodeFrame(record: OutgoingRecord): Buffer {
  const { value, headers, exact } = record
  if (exact !== undefined) return frameOf(exact.key, exactText(exact), exact.isValueNull ? '' : value)
  return frameOf(record.key, headersText(headers), value)
}

const structuredText = JSON.stringify(structuredHeaders)
const structuredBytes = Buffer.from(structuredText)

/** Almost every record has the headers of structured mode, and no others. */
function headersText(headers: Headers | undefined): string {
  if (headers === structuredHeaders) return structuredText
  return headers === undefined || isEmpty(headers) ? '' : JSON.stringify(headers)
}

function frameOf(key: string | Uint8Array | null, headersText: string, value: string | Uint8Array): Buffer {
  const keyBytes = key === null ? 0 : Buffer.byteLength(key)
  const headersBytes = Buffer.byteLength(headersText)
  const valueAt = lengthsBytes + keyBytes + headersBytes
  const frame = Buffer.allocUnsafe(valueAt + (typeof value === 'string' ? Buffer.byteLength(value) : value.length))
  frame.writeUInt32BE(key === null ? nullKey : keyBytes, 0)
  frame.writeUInt32BE(headersBytes, 4)
  if (typeof key === 'string') frame.write(key, lengthsBytes, 'utf8')
  else if (key !== null) frame.set(key, lengthsBytes)
  frame.write(headersText, lengthsBytes + keyBytes, 'utf8')
  if (typeof value === 'string') frame.write(value, valueAt, 'utf8')
  else frame.set(value, valueAt)
  return frame
}

/** The size of key, headers and value of a frame, which `maxRecordBytes` limits. */
export function recordBytes(frame: Buffer): number {
  return frame.length - lengthsBytes
}

const fieldLetter = 'r'.charCodeAt(0)
const [digit0, digit9] = ['0'.charCodeAt(0), '9'.charCodeAt(0)]

/** The append time that the name of a record's field says; null for the field of another program. */
export function appendTimeIn(name: Buffer): number | null {
  if (name.length < 2 || name[0] !== fieldLetter) return null
  let timeMs = 0
  for (let at = 1; at < name.length; at += 1) {
    const digit = name[at] ?? NaN
    if (!(digit >= digit0 && digit <= digit9)) return null
    timeMs = timeMs * 10 + digit - digit0
  }
  return timeMs <= latestMs ? timeMs : null
}

/** Where a record stands, and since when. */
export type FramePlace = Pick<LogRecord, 'topic' | 'partition' | 'offset' | 'appendTimeMs'>

/** The value shares the memory of the frame. For bytes that are no frame, answers the reason as text. */
export function decodeFrame(
  { topic, partition, offset, appendTimeMs }: FramePlace,
  stored: Buffer,
): LogRecord | string {
  const keyAt = lengthsBytes
  if (stored.length < keyAt) return `${stored.length} bytes are no frame`
  const keyLength = stored.readUInt32BE(0)
  const headersAt = keyAt + (keyLength === nullKey ? 0 : keyLength)
  const valueAt = headersAt + stored.readUInt32BE(4)
  if (valueAt > stored.length) return 'the frame is cut'
  const key = keyLength === nullKey ? null : stored.toString('utf8', keyAt, headersAt)
  const headers = readHeaders(stored, headersAt, valueAt)
  if (headers === null) return 'the headers are not those of a frame'
  const value = stored.subarray(valueAt)
  const keyBytes = () => (key === null ? null : stored.subarray(keyAt, headersAt))
  // Field by field: a spread costs more than the rest, at every record that any role reads.
  if (!isExact(headers)) {
    const plain = { topic, partition, offset, appendTimeMs, key, value, headers }
    if (key === null || isTextOf(key, stored, keyAt, headersAt)) return plain
    return { ...plain, exact: { key: keyBytes(), headers: exactly(headers), isValueNull: false } }
  }
  const exact = { key: keyBytes(), headers: headers.exact, isValueNull: headers.isValueNull }
  return { topic, partition, offset, appendTimeMs, key, value, headers: textOf(headers.exact), exact }
}

/**
 * Whether text and bytes agree. Invalid UTF-8 becomes the replacement character, which a valid text may hold as well.
 */
function isTextOf(key: string, stored: Buffer, start: number, end: number): boolean {
  return !key.includes('\ufffd') || isUtf8(stored.subarray(start, end))
}

function readHeaders(stored: Buffer, start: number, end: number): Headers | ExactHeaders | null {
  if (start === end) return noHeaders
  if (structuredBytes.equals(stored.subarray(start, end))) return structuredHeaders
  return parseHeaders(stored.subarray(start, end))
}

interface ExactHeaders {
  readonly exact: readonly ExactHeader[]
  readonly isValueNull: boolean
}
type Headers = Readonly<Record<string, string>>

function isEmpty(headers: Headers): boolean {
  for (const name in headers) if (Object.hasOwn(headers, name)) return false
  return true
}

function isExact(headers: Headers | ExactHeaders): headers is ExactHeaders {
  return Array.isArray(headers.exact)
}

function exactText({ headers, isValueNull }: ExactParts): string {
  const pairs = headers.map(([name, value]) => [toBase64(name), value === null ? null : toBase64(value)])
  return JSON.stringify([isValueNull, ...pairs])
}

function exactly(headers: Headers): ExactHeader[] {
  return Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)])
}

/** The first header of a name counts, as in HTTP clients. */
function textOf(pairs: readonly ExactHeader[]): Headers {
  const found: Record<string, string> = {}
  for (const [nameBytes, value] of pairs) {
    const name = asBuffer(nameBytes).toString('utf8')
    if (value === null || name === '__proto__' || Object.hasOwn(found, name)) continue
    found[name] = asBuffer(value).toString('utf8')
  }
  return found
}

/** Null for bytes that are neither of the two forms of {@link encodeFrame}. */
function parseHeaders(bytes: Buffer): Headers | ExactHeaders | null {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    return null
  }
  if (typeof json !== 'object' || json === null || !isUtf8(bytes)) return null
  if (Array.isArray(json)) return parseExact(json)
  return isHeaders(json) ? json : null
}

function isHeaders(json: object): json is Headers {
  return Object.values(json).every((value) => typeof value === 'string')
}

function parseExact([isValueNull, ...pairs]: readonly unknown[]): ExactHeaders | null {
  if (typeof isValueNull !== 'boolean') return null
  const exact: ExactHeader[] = []
  for (const pair of pairs) {
    const parts: readonly unknown[] = Array.isArray(pair) ? pair : []
    const [name, value] = parts
    if (typeof name !== 'string' || (value !== null && typeof value !== 'string')) return null
    exact.push([Buffer.from(name, 'base64'), value === null ? null : Buffer.from(value, 'base64')])
  }
  return { exact, isValueNull }
}

function toBase64(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64')
}
