import { flagKinds, type FeatureFlag } from '../flags.ts'
import { byteAt } from '../../base/arrays.ts'
import { ByteReader, checksum, type ByteWriter } from '../../base/bytes.ts'
import { assert, RiverbankError } from '../../base/errors.ts'
import type { EntityPlan } from '../plan.ts'
import type { BlobPlan } from './state-layout.ts'
import { noIds } from '../state/recent-ids.ts'
import {
  readLabels,
  readRecentIds,
  readSubjects,
  readText,
  readWaiting,
  writeLabels,
  writeRecentIds,
  writeSubjects,
  writeText,
  writeWaiting,
} from './memory-codec.ts'
import {
  outcomes,
  stateTiles,
  tableAt,
  type EntityState,
  type PartitionProgress,
  type ReadableState,
  type StoredResponse,
} from '../state/state.ts'
import { noSubjects } from '../state/subjects.ts'
import { noneReleased, noWaiting } from '../state/waiting-labels.ts'
import { readTiles, writeTiles } from '../tiles/tile-codec.ts'

/*
 * byte 0       format
 * bytes 1-8    sequence, big-endian
 * bytes 9-12   checksum of everything else
 * bytes 13-16  layout of the plan
 * then, as LEB128 unless said otherwise: incarnation, newest time, tiles per group, recent ids, subjects, waiting
 * labels, labels, partitions with stored responses.
 */
const format = 6
const checksumAt = 9
const bodyAt = 13

/**
 * What compare-and-set compares: sequence and checksum. The sequence alone would not do: after a server lost its tail,
 * another history can reach the same number.
 */
export function stateVersion(blob: Uint8Array): Uint8Array {
  return blob.subarray(1, bodyAt)
}

/** The version of a state by its parts: a cache keeps a number instead of bytes. */
export function versionOf(sequence: number, checksum: number): Uint8Array {
  const version = new Uint8Array(bodyAt - 1)
  writeUint32(version, 0, Math.floor(sequence / 2 ** 32))
  writeUint32(version, 4, sequence % 2 ** 32)
  writeUint32(version, checksumAt - 1, checksum)
  return version
}

/** The second half of a blob's version; the first is the state's sequence. */
export function checksumIn(blob: Uint8Array): number {
  return new DataView(blob.buffer, blob.byteOffset).getUint32(checksumAt)
}

/** Deterministic: equal states are equal bytes. */
export function encodeState(plan: EntityPlan, state: EntityState): Uint8Array {
  const { writer } = plan.memory
  writer.reset()
  writer.byte(format)
  writer.uint64(state.sequence)
  writer.uint32(0)
  writer.uint32(plan.layout)
  writer.unsigned(state.sequence - state.incarnation)
  writer.byte(state.newestTimeMs === null ? 0 : 1)
  if (state.newestTimeMs !== null) writer.signed(state.newestTimeMs)
  let number = 0
  for (const group of plan.groups) {
    writeTiles(writer, group, tableAt(state, number))
    number += 1
  }
  if (plan.partitionKey) {
    writeRecentIds(writer, state.recentIds)
    writeSubjects(writer, state.subjects)
    writeWaiting(writer, state.waiting)
  }
  writeLabels(writer, state.labels, state.sequence)
  writer.unsigned(state.partitions.length)
  for (const { partition, next, responses } of state.partitions) {
    writer.unsigned(partition)
    writer.unsigned(next)
    writer.unsigned(responses.length)
    for (const response of responses) writeResponse(writer, response, state)
  }
  const blob = writer.take()
  writeUint32(blob, checksumAt, checksumOf(blob))
  return blob
}

/** Big-endian, and without a view, which costs more. */
function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

function checksumOf(blob: Uint8Array): number {
  return (checksum(blob, 0, checksumAt) ^ checksum(blob, bodyAt)) >>> 0
}

const layoutAt = bodyAt

/** The layout that a blob names; -1 for bytes that are too short to be one. */
export function layoutIn(blob: Uint8Array): number {
  if (blob.length < layoutAt + 4) return -1
  let layout = 0
  // Runs for every loaded blob: without a view of its own.
  for (let at = layoutAt; at < layoutAt + 4; at += 1) layout = layout * 256 + byteAt(blob, at)
  return layout
}

/** A state as far as a read of features needs it, and what was not read of its blob. */
interface Opened extends ReadableState {
  incarnation: number
  readonly rest: ByteReader
}

function openState(plan: BlobPlan, blob: Uint8Array): Opened {
  const reader = new ByteReader(blob)
  const found = reader.byte()
  if (found !== format)
    throw new RiverbankError('state_layout', `state format ${found}, this version reads ${format}: rebuild the states`)
  const sequence = reader.uint64()
  if (reader.uint32() !== checksumOf(blob)) {
    throw new RiverbankError('state_corrupt', `a state of entity ${plan.name} does not match its checksum`)
  }
  if (reader.uint32() !== plan.layout) {
    throw new RiverbankError('state_layout', `a state of entity ${plan.name} was written by another feature set`)
  }
  const incarnation = sequence - reader.unsigned()
  const newestTimeMs = reader.byte() === 0 ? null : reader.signed()
  const { firstTiles, moreTiles } = stateTiles(plan.groups.map((group) => readTiles(reader, group)))
  return { sequence, incarnation, newestTimeMs, firstTiles, moreTiles, rest: reader }
}

/**
 * Only what a read of features needs: ids, subjects and stored responses, most of a busy entity's blob, stay bytes. The
 * checksum covers them too. Errors: those of {@link decodeState}.
 */
export function decodeForRead(plan: BlobPlan, blob: Uint8Array): ReadableState {
  return openState(plan, blob)
}

/** Errors: `state_corrupt` when the bytes are damaged, `state_layout` when another feature set wrote them. */
export function decodeState(plan: BlobPlan, blob: Uint8Array): EntityState {
  const { sequence, incarnation, newestTimeMs, firstTiles, moreTiles, rest: reader } = openState(plan, blob)
  const recentIds = plan.partitionKey ? readRecentIds(reader) : noIds
  const subjects = plan.partitionKey ? readSubjects(reader) : noSubjects
  const waiting = plan.partitionKey ? readWaiting(reader) : noWaiting
  const labels = readLabels(reader, sequence)
  const partitions: PartitionProgress[] = []
  for (let left = reader.unsigned(); left > 0; left -= 1) {
    const partition = reader.unsigned()
    const next = reader.unsigned()
    const count = reader.unsigned()
    const responses = Array.from({ length: count }, () => readResponse(reader, sequence, incarnation))
    partitions.push({ partition, next, responses })
  }
  if (!reader.done) throw new RiverbankError('state_corrupt', 'the state goes on after its end')
  return {
    sequence,
    incarnation,
    newestTimeMs,
    firstTiles,
    moreTiles,
    recentIds,
    subjects,
    labels,
    waiting,
    partitions,
  }
}

/** Added to the byte of the outcome. */
const hasReleased = 128
const noFeatures = 255
/** Tags of a feature's value: small integers are most of them. */
const tag = { null: 0, integer: 1, double: 2 } as const

function writeResponse(writer: ByteWriter, response: StoredResponse, state: EntityState): void {
  writer.unsigned(response.offset)
  writer.unsigned(state.sequence - response.sequence)
  assert(response.incarnation === state.incarnation, 'a stored response belongs to the incarnation of its state')
  const { released } = response
  writer.byte(outcomes.indexOf(response.outcome) + (released.length > 0 ? hasReleased : 0))
  if (released.length > 0) {
    writer.unsigned(released.length)
    for (const record of released) writeText(writer, record)
  }
  if (response.features === null) {
    writer.byte(noFeatures)
    return
  }
  assert(response.features.length < noFeatures, 'an entity has fewer than 255 features')
  writer.byte(response.features.length)
  writer.byte(response.flags.length)
  for (const { feature, flag } of response.flags) {
    writer.byte(feature)
    writer.byte(flagKinds.indexOf(flag))
  }
  for (const value of response.features) {
    if (value === null) {
      writer.byte(tag.null)
    } else if (Number.isInteger(value) && Math.abs(value) < 2 ** 48 && !Object.is(value, -0)) {
      writer.byte(tag.integer)
      writer.signed(value)
    } else {
      writer.byte(tag.double)
      writer.double(value)
    }
  }
}

function readResponse(reader: ByteReader, stateSequence: number, incarnation: number): StoredResponse {
  const offset = reader.unsigned()
  const sequence = stateSequence - reader.unsigned()
  const found = reader.byte()
  const outcome = outcomes[found % hasReleased]
  if (outcome === undefined) throw new RiverbankError('state_corrupt', 'a stored response has an unknown outcome')
  const released =
    found < hasReleased ? noneReleased : Array.from({ length: reader.unsigned() }, () => readText(reader))
  const count = reader.byte()
  if (count === noFeatures) return { offset, sequence, incarnation, outcome, features: null, flags: [], released }
  const flags = Array.from({ length: reader.byte() }, (): FeatureFlag => {
    const feature = reader.byte()
    const flag = flagKinds[reader.byte()]
    if (flag === undefined) throw new RiverbankError('state_corrupt', 'a stored response has an unknown flag')
    return { feature, flag }
  })
  const features: (number | null)[] = []
  for (let i = 0; i < count; i += 1) {
    const kind = reader.byte()
    if (kind === tag.null) features.push(null)
    else features.push(kind === tag.integer ? reader.signed() : reader.double())
  }
  return { offset, sequence, incarnation, outcome, features, flags, released }
}
