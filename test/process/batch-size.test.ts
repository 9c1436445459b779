import { expect, it } from 'vitest'
import type { LogBatch, LogRecord } from '../../src/ports.ts'
import { BatchSize, partOf, type TooLarge } from '../../src/process/batch-size.ts'

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

it('halves down to one event, and comes back within 33 successes', () => {
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
  for (; size.records < 500; successes += 1) size.succeed(size.records)
  expect(successes).toBeLessThanOrEqual(33)
})

it('counts a failure once that several partitions tell of', () => {
  const { size } = sized()
  for (let partition = 0; partition < 4; partition += 1) size.shrink(500, 'timeout')
  expect(size.records).toBe(250)
})

it('halves after a batch in which the loop heard nothing for too long', () => {
  const { size, changes, time } = sized()
  size.succeed(500)
  time.unheardMs = 1_001
  size.succeed(500)
  size.succeed(250)
  expect(changes).toEqual([
    [250, 'loop'],
    [266, null],
  ])
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
