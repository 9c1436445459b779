import { RiverbankError } from '../../../base/errors.ts'
import type { PartitionRange } from '../../../ports/log.ts'

/** Throws `log_truncated` for a position below the range, `log_recreated` above it. */
export function checkInRange(topic: string, { partition, start, end }: PartitionRange, position: number): void {
  if (position < start) {
    const message = `${topic}/${partition} begins at ${start}, records from ${position} on were not read`
    throw new RiverbankError('log_truncated', message)
  }
  if (position > end) {
    const message = `${topic}/${partition} ends at ${end}, below the position ${position}: the topic was recreated`
    throw new RiverbankError('log_recreated', message)
  }
}
