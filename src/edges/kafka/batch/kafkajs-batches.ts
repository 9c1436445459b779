import { replaceProduceRequest } from './produce-request.ts'
import type { FetchedRecord } from './fetched-record.ts'
import { readRecordSet, type RecordSetLimits } from './record-set.ts'
import { prepareZstd } from './zstd-frame.ts'
import { replaceModule, requireKafkajs } from '../internals.ts'

/** The members of kafkajs's Decoder that this module uses. */
interface Decoder {
  readInt32(): number
  canReadBytes(length: number): boolean
  readBytes(length: number): Buffer
}

/** Modules of kafkajs that hold the coding they have loaded; kafkajs loads them again with each request. */
const holders =
  /[\\/]kafkajs[\\/]src[\\/]protocol[\\/]requests[\\/](fetch|produce)[\\/]v\d+[\\/](request|response)\.js$/

let isReplaced = false

/**
 * kafkajs 2.2.4 ends a consumer for good at the first batch that it cannot read, does not check checksums, decompresses
 * without a bound, and keeps headers in an object: repeats lose their order, and null cannot be sent. It has no option
 * against that, so {@link readRecordSet} replaces its decoder of record sets, and {@link replaceProduceRequest} its
 * encoder of batches. The version is pinned, and tests send and read all of it on a broker.
 */
export async function replaceBatchCoding(limits: RecordSetLimits): Promise<void> {
  await prepareZstd()
  if (isReplaced) return
  isReplaced = true
  const { cache } = requireKafkajs
  for (const file of Object.keys(cache)) if (holders.test(file)) Reflect.deleteProperty(cache, file)
  const decode = (decoder: Decoder): Promise<FetchedRecord[]> => {
    const bytes = decoder.readInt32()
    const isWhole = bytes > 0 && decoder.canReadBytes(bytes)
    return Promise.resolve(isWhole ? readRecordSet(decoder.readBytes(bytes), limits) : [])
  }
  replaceModule('protocol/requests/fetch/v4/decodeMessages.js', () => decode)
  replaceProduceRequest()
}
