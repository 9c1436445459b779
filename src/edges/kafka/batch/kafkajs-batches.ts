import { createRequire } from 'node:module'
import { assert } from '../../../base/errors.ts'
import { readRecordSet, type FetchedRecord, type HeaderPair, type RecordSetLimits } from './record-set.ts'
import { prepareZstd } from './zstd-frame.ts'

/** What is used of kafkajs's Decoder. */
interface Decoder {
  readInt32(): number
  canReadBytes(length: number): boolean
  readBytes(length: number): Buffer
}

/** What is used of kafkajs's Encoder. */
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
  readonly headers?: unknown
}

/** Headers in their order, with repeats, nulls and bytes: kafkajs would take an object of its own kind only. */
export class ExactHeaders {
  readonly pairs: readonly HeaderPair[]

  constructor(pairs: readonly HeaderPair[]) {
    this.pairs = pairs
  }
}

const require = createRequire(import.meta.url)
const protocol = 'kafkajs/src/protocol'
/** They hold what they have loaded; kafkajs loads them again with each request. */
const holders =
  /[\\/]kafkajs[\\/]src[\\/]protocol[\\/]requests[\\/](fetch|produce)[\\/]v\d+[\\/](request|response)\.js$/

let isReplaced = false

/**
 * kafkajs 2.2.4 ends a consumer for good at the first batch that it cannot read, does not look at checksums, decompresses
 * without a bound, and keeps headers in an object: repeats lose their order, and null cannot be sent. There is no option
 * against it, so its decoder of record sets is replaced by {@link readRecordSet}, and its encoder of records writes
 * {@link ExactHeaders} as they are. The version is pinned, and tests send and read all of it on a broker.
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
    return message.headers instanceof ExactHeaders ? encodeExact(message, message.headers) : original(message)
  })
  for (const file of Object.keys(require.cache)) if (holders.test(file)) Reflect.deleteProperty(require.cache, file)
}

function replaceModule(file: string, replacement: (original: (message: unknown) => unknown) => unknown): void {
  const original: unknown = require(file)
  assert(typeof original === 'function', `kafkajs has a function in ${file}`)
  const loaded = require.cache[require.resolve(file)]
  assert(loaded !== undefined, `${file} is loaded`)
  loaded.exports = replacement(original as (message: unknown) => unknown)
}

function encodeExact({ offsetDelta, timestampDelta, key, value }: Message, { pairs }: ExactHeaders): Encoder {
  const Encoder = require(`${protocol}/encoder.js`) as new () => Encoder
  const body = new Encoder().writeInt8(0).writeVarLong(timestampDelta).writeVarInt(offsetDelta)
  body.writeVarIntBytes(key).writeVarIntBytes(value).writeVarInt(pairs.length)
  for (const [name, text] of pairs) body.writeVarIntBytes(name).writeVarIntBytes(text)
  return new Encoder().writeVarInt(body.size()).writeEncoder(body)
}
