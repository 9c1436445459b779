import type { EachBatchPayload } from 'kafkajs'
import { assert } from '../../../base/errors.ts'
import type { PartitionAssignment, LogBatch } from '../../../ports/log.ts'
import { toLogRecord } from '../record.ts'
import type { PartitionRun } from './partition-run.ts'

/** The part of a session that the delivery of a batch uses. */
export interface Course {
  readonly maxRecords: number
  /** The largest record of a topic; see {@link toLogRecord}. */
  readonly recordBytesMax: (topic: string) => number
  mayDeliver(run: PartitionRun, payload: EachBatchPayload): Promise<boolean>
  /** The handler's answer, or null when it was fenced. */
  handle(assignment: PartitionAssignment, batch: LogBatch): Promise<number | null>
  /** Remembers the position of the partition, and the highest offset to which it was read. */
  move(run: PartitionRun, position: number, highest: number): void
  seek(run: PartitionRun, offset: number): void
}

/**
 * Hands the records in one fetch of one partition to the handler, `maxRecords` at a time. When it may not go on, or the
 * handler goes back, the session fetches the rest again.
 */
export async function deliverBatch(run: PartitionRun, payload: EachBatchPayload, course: Course): Promise<void> {
  const { batch } = payload
  const { assignment, topic, partition } = run
  assert(assignment !== null, 'a ready partition has an assignment')
  let from = batch.messages.findIndex(({ offset }) => Number(offset) >= run.position)
  while (from >= 0 && from < batch.messages.length) {
    if (!(await course.mayDeliver(run, payload))) return
    const messages = batch.messages.slice(from, from + course.maxRecords)
    from += messages.length
    // A batch may end with markers that handlers never get: its own last offset is past them.
    const lastOffset = from === batch.messages.length ? batch.lastOffset() : messages.at(-1)?.offset
    const next = Number(lastOffset) + 1
    const end = Math.max(next, Number(batch.highWatermark))
    const records = messages.map((message) => toLogRecord(topic, partition, message, course.recordBytesMax(topic)))
    const answer = await course.handle(assignment, { topic, partition, records, next, end })
    // After an abort kafkajs may be in the next generation of the group: this run must no longer move its position.
    if (answer === null || run.isAborted()) return
    assert(Number.isInteger(answer) && answer >= 0 && answer <= next, `the handler answered ${answer} for ${next}`)
    course.move(run, answer, next)
    if (answer < next) {
      course.seek(run, answer)
      return
    }
    payload.resolveOffset(String(next - 1))
  }
}
