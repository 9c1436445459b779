import { expect, it } from 'vitest'
import type { LogBatch, LogRecord } from '../../../src/ports/log.ts'
import { BatchSize, partOf, type TooLarge } from '../../../src/process/assignment/batch-size.ts'

function sized(recordsMax = 500) {
  const changes: [number, TooLarge | null][] = []
  const time = { unheardMs: 0 }
  const size = new BatchSize({
    recordsMax,
    unheardMs: () => time.unheardMs,
    unheardMsMax: 1_000,
    onChange: (records, why) => changes.push([records, why]),
  })
  return { size, changes, time }
}

it('halves down to one event, and comes back within 36 successes', () => {
  const { size } = sized()
  const seen: number[] = []
  while (size.records > 1) {
    size.shrink(size.records, 'timeout')
    seen.push(size.records)
  }
  expect(seen).toEqual([250, 125, 62, 31, 15, 7, 3, 1])
  size.shrink(1, 'timeout')
  expect(size.records).toBe(1)
  let successes = 0
  for (; size.records < 500; successes += 1) size.succeed(size.begin())
  expect(successes).toBeLessThanOrEqual(36)
})

it('counts a failure once that several partitions tell of', () => {
  const { size } = sized()
  for (let partition = 0; partition < 4; partition += 1) size.shrink(500, 'timeout')
  expect(size.records).toBe(250)
})

it('halves after a batch in which the loop heard nothing for too long', () => {
  const { size, changes, time } = sized()
  const begun = [size.begin(), size.begin()]
  time.unheardMs = 1_001
  for (const one of begun) size.succeed(one)
  size.succeed(size.begin())
  expect(changes).toEqual([
    [250, 'loop'],
    [266, null],
  ])
})

it('counts what the loop missed in a batch, not before it began', () => {
  const { size, changes, time } = sized()
  time.unheardMs = 60_000
  size.succeed(size.begin())
  expect(changes).toEqual([])
})

it('at most doubles, so that what bears one event is asked for two next', () => {
  const { size } = sized()
  size.shrink(2, 'timeout')
  const seen = Array.from({ length: 6 }, () => {
    size.succeed(size.begin())
    return size.records
  })
  expect(seen).toEqual([2, 4, 8, 16, 32, 48])
})

const record = (offset: number): LogRecord => ({
  ...{ topic: 't', partition: 0, offset, appendTimeMs: 0, key: null, value: new Uint8Array(), headers: {} },
})

it('cuts a batch at its records, whatever offsets are missing between them', () => {
  const batch: LogBatch = { topic: 't', partition: 0, records: [3, 4, 8, 9].map(record), next: 12, end: 20 }
  expect(partOf(batch, 0, 4)).toBe(batch)
  const parts = [partOf(batch, 0, 2), partOf(batch, 2, 1), partOf(batch, 3, 5)]
  expect(parts.map(({ records, next }) => [records.map(({ offset }) => offset), next])).toEqual([
    [[3, 4], 8],
    [[8], 9],
    [[9], 12],
  ])
  expect(new Set(parts.map(({ end }) => end))).toEqual(new Set([20]))
})
