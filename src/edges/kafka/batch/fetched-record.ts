import { isUtf8 } from 'node:buffer'
import type { RecordFault } from '../../../events/codec/record-parts.ts'
import { Cursor } from './cursor.ts'
import { assert } from '../../../base/errors.ts'

export type HeaderPair = readonly [name: Buffer, value: Buffer | null]

/** The headers of a record. */
export interface FetchedHeaders {
  /** In their order, with repeats and nulls. */
  readonly pairs: readonly HeaderPair[]
  /** The first of each name, without those that are null. */
  readonly texts: Readonly<Record<string, string>>
  /** Whether the texts preserve the bytes of the pairs, and their order. */
  readonly areTexts: boolean
  /** An upper bound of their size in a batch. */
  readonly bytes: number
}

/** The properties of a record's batch that kafkajs and the group session read. */
export interface BatchContext {
  readonly producerId: string
  readonly inTransaction: boolean
  readonly isControlBatch: boolean
}

interface BatchParts {
  /** The batch as it came from the broker. */
  readonly bytes: Buffer
  /** Its records after decompression. */
  readonly records: Buffer
  readonly context: BatchContext
  /** Why it is unreadable. */
  readonly fault: RecordFault | null
}

/** Where the parts of a record are in `records` of its batch; a length of -1: there is no such part. */
interface RecordParts {
  readonly keyFrom: number
  readonly keyBytes: number
  readonly valueFrom: number
  readonly valueBytes: number
  readonly headers: FetchedHeaders
}

/** The lengths of one header at their largest. */
const headerFrameBytes = 10
const noHeaders: FetchedHeaders = { pairs: [], texts: Object.freeze({}), areTexts: true, bytes: 0 }
const noParts: RecordParts = { keyFrom: 0, keyBytes: -1, valueFrom: 0, valueBytes: -1, headers: noHeaders }

export class FetchedBatch {
  readonly bytes: Buffer
  readonly records: Buffer
  readonly context: BatchContext
  readonly fault: RecordFault | null
  /** What was read last, and where: most records of a batch have the same headers. */
  #headers = noHeaders
  #headersFrom = 0
  #headersEnd = 0

  constructor({ bytes, records, context, fault }: BatchParts) {
    this.bytes = bytes
    this.records = records
    this.context = context
    this.fault = fault
  }

  /** The headers that begin at `from` with their number, and end at `end`. */
  headers(from: number, end: number): FetchedHeaders {
    const last = this.#headersEnd - this.#headersFrom
    if (
      end - from !== last ||
      this.records.compare(this.records, this.#headersFrom, this.#headersEnd, from, end) !== 0
    ) {
      this.#headers = headersOf(new Cursor(this.records, from))
      this.#headersFrom = from
      this.#headersEnd = end
    }
    return this.#headers
  }
}

/**
 * A record as kafkajs hands it on, with everything that the log has of it. It knows its place in its batch, and makes
 * objects of its parts when they are read: a fetch has thousands of records, which wait for their turn.
 */
export class FetchedRecord {
  readonly batch: FetchedBatch
  readonly position: number
  readonly timeMs: number
  /** Where its key's length is, and where it ends; it ends at 0 without parts. */
  readonly #from: number
  readonly #end: number

  constructor(batch: FetchedBatch, position: number, timeMs: number, from = 0, end = 0) {
    this.batch = batch
    this.position = position
    this.timeMs = timeMs
    this.#from = from
    this.#end = end
  }

  get offset(): string {
    return String(this.position)
  }

  get isControlRecord(): boolean {
    return this.batch.context.isControlBatch
  }

  get batchContext(): BatchContext {
    return this.batch.context
  }

  get fault(): RecordFault | null {
    return this.batch.fault
  }

  get key(): Buffer | null {
    const { keyFrom, keyBytes } = this.parts()
    return keyBytes === -1 ? null : this.batch.records.subarray(keyFrom, keyFrom + keyBytes)
  }

  /** Of a record with a fault: its batch. */
  get value(): Buffer | null {
    if (this.fault !== null) return this.batch.bytes
    const { valueFrom, valueBytes } = this.parts()
    return valueBytes === -1 ? null : this.batch.records.subarray(valueFrom, valueFrom + valueBytes)
  }

  parts(): RecordParts {
    if (this.#end === 0) return noParts
    const cursor = new Cursor(this.batch.records, this.#from)
    const keyBytes = cursor.skipBytes()
    const keyFrom = cursor.position - Math.max(0, keyBytes)
    const valueBytes = cursor.skipBytes()
    const valueFrom = cursor.position - Math.max(0, valueBytes)
    return { keyFrom, keyBytes, valueFrom, valueBytes, headers: this.batch.headers(cursor.position, this.#end) }
  }
}

function headersOf(cursor: Cursor): FetchedHeaders {
  const count = cursor.varint()
  if (count === 0) return noHeaders
  const pairs: HeaderPair[] = []
  const texts: Record<string, string> = {}
  const names = new Set<string>()
  let areTexts = true
  let bytes = 0
  for (let i = 0; i < count; i += 1) {
    const nameBytes = cursor.bytes()
    assert(nameBytes !== null, 'the names of headers were checked')
    const value = cursor.bytes()
    pairs.push([nameBytes, value])
    bytes += headerFrameBytes + nameBytes.length + (value?.length ?? 0)
    const name = nameBytes.toString('utf8')
    areTexts &&= value !== null && isUtf8(nameBytes) && isUtf8(value) && isTextName(name) && !names.has(name)
    // The first header of a name counts, as in HTTP clients.
    if (value !== null && name !== '__proto__' && !names.has(name)) texts[name] = value.toString('utf8')
    if (value !== null) names.add(name)
  }
  return { pairs, texts: Object.freeze(texts), areTexts, bytes }
}

/** An object puts numeric names first, and cannot hold `__proto__`. */
function isTextName(name: string): boolean {
  return name !== '__proto__' && !/^\d+$/.test(name)
}
