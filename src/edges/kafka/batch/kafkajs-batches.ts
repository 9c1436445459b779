import { assert } from '../../../base/errors.ts'
import type { FetchedRecord, HeaderPair } from './fetched-record.ts'
import { readRecordSet, type RecordSetLimits } from './record-set.ts'
import { prepareZstd } from './zstd-frame.ts'
import { isFunction, requireKafkajs, type AnyFunction } from '../internals.ts'

/** The members of kafkajs's Decoder that this module uses. */
interface Decoder {
  readInt32(): number
  canReadBytes(length: number): boolean
  readBytes(length: number): Buffer
}

/** The members of kafkajs's Encoder that this module uses. */
interface Encoder {
  size(): number
  writeInt8(value: number): Encoder
  writeVarInt(value: number): Encoder
  writeVarLong(value: unknown): Encoder
  writeVarIntBytes(value: Buffer | string | null): Encoder
  writeEncoder(value: Encoder): Encoder
}

interface Message {
  readonly offsetDelta: number
  readonly timestampDelta: unknown
  readonly key: Buffer | string | null
  readonly value: Buffer | null
  readonly headers?: object
}

/** Headers in their order, with repeats, nulls and bytes, by the object that kafkajs takes in their place. */
const exactHeaders = new WeakMap<object, readonly HeaderPair[]>()

/** The object to give a message as headers so that the encoder writes these pairs. */
export function headersFor(pairs: readonly HeaderPair[]): Readonly<Record<string, string>> {
  const headers = {}
  exactHeaders.set(headers, pairs)
  return headers
}

const protocol = 'kafkajs/src/protocol'
/** Modules of kafkajs that hold the coding they have loaded; kafkajs loads them again with each request. */
const holders =
  /[\\/]kafkajs[\\/]src[\\/]protocol[\\/]requests[\\/](fetch|produce)[\\/]v\d+[\\/](request|response)\.js$/

let isReplaced = false

/**
 * kafkajs 2.2.4 ends a consumer for good at the first batch that it cannot read, does not check checksums, decompresses
 * without a bound, and keeps headers in an object: repeats lose their order, and null cannot be sent. It has no option
 * against that, so {@link readRecordSet} replaces its decoder of record sets, and its encoder of records writes the
 * headers of {@link headersFor} as they are. The version is pinned, and tests send and read all of it on a broker.
 */
export async function replaceBatchCoding(limits: RecordSetLimits): Promise<void> {
  await prepareZstd()
  if (isReplaced) return
  isReplaced = true
  const decode = (decoder: Decoder): Promise<FetchedRecord[]> => {
    const bytes = decoder.readInt32()
    const isWhole = bytes > 0 && decoder.canReadBytes(bytes)
    return Promise.resolve(isWhole ? readRecordSet(decoder.readBytes(bytes), limits) : [])
  }
  replaceModule(`${protocol}/requests/fetch/v4/decodeMessages.js`, () => decode)
  replaceModule(`${protocol}/recordBatch/record/v0/index.js`, (original) => (message: Message) => {
    const pairs = message.headers === undefined ? undefined : exactHeaders.get(message.headers)
    return pairs === undefined ? original(message) : encodeExact(message, pairs)
  })
  const { cache } = requireKafkajs
  for (const file of Object.keys(cache)) if (holders.test(file)) Reflect.deleteProperty(cache, file)
}

function replaceModule(file: string, replacement: (original: AnyFunction) => unknown): void {
  const original: unknown = requireKafkajs(file)
  assert(isFunction(original), `kafkajs has a function in ${file}`)
  const loaded = requireKafkajs.cache[requireKafkajs.resolve(file)]
  assert(loaded !== undefined, `${file} is loaded`)
  loaded.exports = replacement(original)
}

function encodeExact({ offsetDelta, timestampDelta, key, value }: Message, pairs: readonly HeaderPair[]): Encoder {
  const Encoder: unknown = requireKafkajs(`${protocol}/encoder.js`)
  assert(isEncoder(Encoder), 'kafkajs has a class Encoder')
  const body = new Encoder().writeInt8(0).writeVarLong(timestampDelta).writeVarInt(offsetDelta)
  body.writeVarIntBytes(key).writeVarIntBytes(value).writeVarInt(pairs.length)
  for (const [name, text] of pairs) body.writeVarIntBytes(name).writeVarIntBytes(text)
  return new Encoder().writeVarInt(body.size()).writeEncoder(body)
}

function isEncoder(value: unknown): value is new () => Encoder {
  return typeof value === 'function'
}
