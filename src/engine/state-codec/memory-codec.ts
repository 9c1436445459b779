import type { ByteReader, ByteWriter } from '../../base/bytes.ts'
import { isRecord } from '../../base/record.ts'
import { RiverbankError } from '../../base/errors.ts'
import { noLabels, type Label, type Labels } from '../state/labels.ts'
import { recentIdCount, recentIdWidth, type RecentIds } from '../state/recent-ids.ts'
import { subjectCount, type Subjects } from '../state/subjects.ts'
import { noWaiting, type WaitingLabel, type WaitingLabels } from '../state/waiting-labels.ts'

/*
 * What an entity remembers of single events, as bytes: ids that would be duplicates, subjects, labels.
 */

/**
 * Ids of one hour share it; offsets are differences, negative ones too: a producer with a partitioner of its own can
 * spread the events of one entity over partitions. Eight bytes of hash are the bulk.
 */
export function writeRecentIds(writer: ByteWriter, ids: RecentIds): void {
  const { numbers, forgotten } = ids
  writer.unsigned(recentIdCount(ids))
  let hour = 0
  let previous = 0
  for (let i = forgotten * recentIdWidth; i < numbers.length; i += recentIdWidth) {
    writer.uint32((numbers[i] ?? NaN) >>> 0)
    writer.uint32((numbers[i + 1] ?? NaN) >>> 0)
    const offset = numbers[i + 2] ?? NaN
    const appendHour = numbers[i + 3] ?? NaN
    const step = offset - previous
    writer.unsigned((step >= 0 ? step * 2 : -step * 2 - 1) * 2 + (appendHour === hour ? 0 : 1))
    if (appendHour !== hour) writer.signed(appendHour - hour)
    hour = appendHour
    previous = offset
  }
}

export function readRecentIds(reader: ByteReader): RecentIds {
  const numbers: number[] = []
  let appendHour = 0
  let offset = 0
  for (let left = reader.unsigned(); left > 0; left -= 1) {
    numbers.push(reader.uint32() | 0, reader.uint32() | 0)
    const step = reader.unsigned()
    const zigzag = Math.floor(step / 2)
    offset += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
    if (step % 2 === 1) appendHour += reader.signed()
    numbers.push(offset, appendHour)
  }
  return { numbers, forgotten: 0 }
}

/** Of each subject 12 bytes of hash and fingerprint; hours are differences, and take one more. */
export function writeSubjects(writer: ByteWriter, subjects: Subjects): void {
  const { numbers, newestHour } = subjects
  writer.unsigned(subjectCount(subjects))
  if (newestHour === null) return
  writer.signed(newestHour)
  let hour = newestHour
  for (let i = 0; i < numbers.length; i += 4) {
    for (let k = 0; k < 3; k += 1) writer.uint32((numbers[i + k] ?? NaN) >>> 0)
    writer.signed((numbers[i + 3] ?? NaN) - hour)
    hour = numbers[i + 3] ?? NaN
  }
}

export function readSubjects(reader: ByteReader): Subjects {
  let left = reader.unsigned()
  if (left === 0) return { numbers: [], newestHour: null }
  const newestHour = reader.signed()
  const numbers: number[] = []
  for (let hour = newestHour; left > 0; left -= 1) {
    numbers.push(reader.uint32() | 0, reader.uint32() | 0, reader.uint32() | 0)
    hour += reader.signed()
    numbers.push(hour)
  }
  return { numbers, newestHour }
}

const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }) }

/** Labels are few: their data stand as JSON. */
export function writeLabels(writer: ByteWriter, labels: Labels, nextSequence: number): void {
  writer.unsigned(labels.length)
  for (const { high, low, timeMs, eventTimeMs, sequence, eventType, data } of labels) {
    writer.uint32(high)
    writer.uint32(low)
    writer.signed(timeMs)
    writer.signed(eventTimeMs - timeMs)
    writer.unsigned(nextSequence - sequence)
    writeText(writer, JSON.stringify([eventType, data]))
  }
}

export function readLabels(reader: ByteReader, nextSequence: number): Labels {
  const count = reader.unsigned()
  if (count === 0) return noLabels
  return Array.from({ length: count }, (): Label => {
    const [high, low, timeMs] = [reader.uint32(), reader.uint32(), reader.signed()]
    const eventTimeMs = timeMs + reader.signed()
    const sequence = nextSequence - reader.unsigned()
    const [eventType, data] = parsed(readText(reader))
    return { high, low, timeMs, eventTimeMs, sequence, eventType, data }
  })
}

function parsed(text: string): [string, Label['data']] {
  const json: unknown = JSON.parse(text)
  const list: readonly unknown[] = Array.isArray(json) ? json : []
  const [type, data] = list
  if (typeof type !== 'string' || !isRecord(data)) {
    throw new RiverbankError('state_corrupt', 'a label in a state is none')
  }
  return [type, data]
}

export function writeWaiting(writer: ByteWriter, waiting: WaitingLabels): void {
  writer.unsigned(waiting.length)
  for (const { subject, label, appendTimeMs, record } of waiting) {
    for (const { high, low } of [subject, label]) {
      writer.uint32(high)
      writer.uint32(low)
    }
    writer.unsigned(appendTimeMs)
    writeText(writer, record)
  }
}

export function readWaiting(reader: ByteReader): WaitingLabels {
  const count = reader.unsigned()
  if (count === 0) return noWaiting
  return Array.from({ length: count }, (): WaitingLabel => {
    const subject = { high: reader.uint32(), low: reader.uint32() }
    const label = { high: reader.uint32(), low: reader.uint32() }
    return { subject, label, appendTimeMs: reader.unsigned(), record: readText(reader) }
  })
}

export function writeText(writer: ByteWriter, text: string): void {
  const bytes = utf8.encoder.encode(text)
  writer.unsigned(bytes.length)
  writer.copy(bytes)
}

export function readText(reader: ByteReader): string {
  return utf8.decoder.decode(reader.take(reader.unsigned()))
}
