import type { PartitionAssignment, LogRecord } from '../../ports/log.ts'
import type { FilePart } from '../files/table-files.ts'
import { TableBuffer } from '../tables/table.ts'
import type { TableSpec } from '../tables/table.ts'

/** One row and the table it belongs to. */
export interface PlacedRow {
  readonly spec: TableSpec<never>
  readonly row: unknown
}

interface Range {
  readonly buffer: TableBuffer<never>
  readonly firstOffset: number
  lastOffset: number
}

/** Rows of one day (of the log's clock), in offset order. */
interface Segment {
  readonly date: string
  readonly ranges: Map<string, Range>
}

/** What a materializer holds of one partition until it is written. Belongs to one assignment. */
export class PartitionBuffer {
  readonly assignment: PartitionAssignment
  /** Names this assignment in the manifest; the partition's next assignment fences it. */
  readonly owner: string
  /** What the manifest covers (null: nothing yet); a commit must start here. */
  covered: number | null
  /** The first offset not buffered: records below it are in the lake or in the buffer. */
  position: number
  rows = 0
  bytes = 0
  /** When the oldest buffered row came in, on the log's clock. */
  oldestAppendTimeMs: number | null = null
  /** Set when buffered rows are lost: where reading must resume. */
  rewindTo: number | null = null
  private segments: Segment[] = []
  private tail: Promise<unknown> = Promise.resolve()

  constructor(assignment: PartitionAssignment, owner: string, covered: number | null) {
    this.assignment = assignment
    this.owner = owner
    this.covered = covered
    this.position = covered ?? assignment.range.start
  }

  /** True when a flush would change nothing. */
  get isEmpty(): boolean {
    return this.position === (this.covered ?? this.assignment.range.start)
  }

  /** Resumes where the manifest ends; drops what was buffered. */
  resume(covered: number | null): void {
    this.clear()
    this.covered = covered
    this.position = covered ?? this.assignment.range.start
    this.rewindTo = this.position
  }

  /** One after the other: batches and the timer's flushes never meet. */
  serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.tail.then(work)
    this.tail = result.catch(() => undefined)
    return result
  }

  add(record: LogRecord, placed: PlacedRow): void {
    const date = utcDate(record.appendTimeMs)
    let segment = this.segments.at(-1)
    if (segment?.date !== date) {
      segment = { date, ranges: new Map() }
      this.segments.push(segment)
    }
    const { table } = placed.spec
    let range = segment.ranges.get(table)
    if (range === undefined) {
      range = { buffer: new TableBuffer(placed.spec), firstOffset: record.offset, lastOffset: record.offset }
      segment.ranges.set(table, range)
    }
    // A row is placed together with the spec of its table, which is that of this buffer.
    range.buffer.push(placed.row as never)
    range.lastOffset = record.offset
    this.rows += 1
    this.bytes += record.value.length
    this.oldestAppendTimeMs ??= record.appendTimeMs
  }

  parts(): readonly FilePart[] {
    const { topic, partition } = this.assignment
    return this.segments.flatMap(({ date, ranges }) =>
      [...ranges.values()].map(({ buffer, firstOffset, lastOffset }) => ({
        buffer,
        topic,
        partition,
        firstOffset,
        lastOffset,
        date,
      })),
    )
  }

  clear(): void {
    this.segments = []
    this.rows = 0
    this.bytes = 0
    this.oldestAppendTimeMs = null
  }
}

const dayMs = 86_400_000
let lastDay = NaN
let lastDate = ''

/** `YYYY-MM-DD`; the last answer is kept, because records of one day come together. */
function utcDate(timeMs: number): string {
  const day = Math.floor(timeMs / dayMs)
  if (day !== lastDay) {
    lastDay = day
    lastDate = new Date(day * dayMs).toISOString().slice(0, 10)
  }
  return lastDate
}
