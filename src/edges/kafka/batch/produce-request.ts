import type { Message } from 'kafkajs'
import { batchRoomBytes, writeBatch, type PreparedRecord } from './batch-writer.ts'
import { BytesWriter } from './bytes-writer.ts'
import { replaceMethod, replaceModule, type AnyFunction } from '../internals.ts'

/** The members of kafkajs's Encoder that this module uses. */
interface Encoder {
  buf: Buffer
  offset: number
}

/** What kafkajs asks a request of. */
interface ProduceOrder {
  readonly acks: number
  readonly timeout: number
  readonly topicData: readonly { readonly topic: string; readonly partitions: readonly PartitionOrder[] }[]
}

interface PartitionOrder {
  readonly partition: number
  readonly messages: readonly Message[]
}

const produceKey = 0
/** The first version with batches of format 2; kafkajs asks for a later one by the same bytes. */
const produceVersion = 3
/** For what kafkajs puts before a request: its size, key, version, number, and the client's id. */
const frameRoomBytes = 512
/** The fields of a request, of each topic and of each partition, names and batches aside, at their largest. */
const requestFrameBytes = 16
const topicFrameBytes = 8
const partitionFrameBytes = 8

/** The records of a batch, by the message that stands for them in kafkajs. */
const batches = new WeakMap<Message, readonly PreparedRecord[]>()
/** The memory with room before it where an encoder's content stands. */
const places = new WeakMap<object, { readonly memory: Buffer; readonly start: number }>()

/** One message that a producer of kafkajs sends as a batch of these records, all of one partition. */
export function batchMessage(partition: number, records: readonly PreparedRecord[]): Message {
  const message = { partition, value: null }
  batches.set(message, records)
  return message
}

/**
 * kafkajs 2.2.4 copies a record nine times on its way to the socket, and computes checksums in JavaScript: it sends a
 * record of 3.1 KB in 21 to 26 µs of processor time, {@link writeBatch} in 8 to 10. It has no option against that, so
 * this replaces its request for the messages of {@link batchMessage}. The version is pinned, and tests send and read all
 * of it on a broker.
 */
export function replaceProduceRequest(): void {
  replaceModule('protocol/requests/produce/v3/request.js', (original) => (order: ProduceOrder) => {
    return isOurs(order) ? produceRequest(order) : original(order)
  })
  replaceMethod('protocol/encoder.js', 'writeEncoder', writeInPlace)
}

function isOurs({ topicData }: ProduceOrder): boolean {
  return topicData.every(({ partitions }) =>
    partitions.every(({ messages }) => messages.length === 1 && messages.every((message) => batches.has(message))),
  )
}

function produceRequest(order: ProduceOrder) {
  return {
    apiKey: produceKey,
    apiVersion: produceVersion,
    apiName: 'Produce',
    expectResponse: () => order.acks !== 0,
    encode: () => Promise.resolve(encode(order)),
  }
}

function encode({ acks, timeout, topicData }: ProduceOrder): Encoder {
  const memory = Buffer.allocUnsafe(frameRoomBytes + roomBytes(topicData))
  const timeMs = Date.now()
  const writer = new BytesWriter(memory, frameRoomBytes)
  writer.int16(-1)
  writer.int16(acks)
  writer.int32(timeout)
  writer.int32(topicData.length)
  for (const { topic, partitions } of topicData) {
    writer.string(topic)
    writer.int32(partitions.length)
    for (const order of partitions) {
      writer.int32(order.partition)
      const from = writer.position
      const end = writeBatch(memory, from + 4, recordsOf(order), timeMs)
      writer.int32(end - from - 4)
      writer.position = end
    }
  }
  const buf = memory.subarray(frameRoomBytes, writer.position)
  const encoder = { buf, buffer: buf, offset: buf.length, size: () => buf.length }
  places.set(encoder, { memory, start: frameRoomBytes })
  return encoder
}

function recordsOf({ messages: [message] }: PartitionOrder): readonly PreparedRecord[] {
  return (message === undefined ? undefined : batches.get(message)) ?? []
}

function roomBytes(topicData: ProduceOrder['topicData']): number {
  let bytes = requestFrameBytes
  for (const { topic, partitions } of topicData) {
    bytes += topicFrameBytes + Buffer.byteLength(topic)
    for (const order of partitions) bytes += partitionFrameBytes + batchRoomBytes(recordsOf(order))
  }
  return bytes
}

/** kafkajs puts a header before a request by copying the request behind it, twice: here there is room before it. */
function writeInPlace(original: AnyFunction) {
  return function writeEncoder(this: Encoder, content: Encoder): unknown {
    const place = places.get(content)
    if (place === undefined || place.start < this.offset) return original.call(this, content)
    const { memory } = place
    const start = place.start - this.offset
    this.buf.copy(memory, start, 0, this.offset)
    const end = place.start + content.offset
    this.buf = memory.subarray(start, end)
    this.offset = end - start
    places.set(this, { memory, start })
    return this
  }
}
