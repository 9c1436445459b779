import { setTimeout as sleep } from 'node:timers/promises'
import { isRiverbankError, RiverbankError } from '../../src/base/errors.ts'
import type { PartitionAssignment, GroupHandler, LogBatch, LogRecord } from '../../src/ports/log.ts'

const decoder = new TextDecoder()

export function text(record: LogRecord): string {
  return decoder.decode(record.value)
}

/** What all members of a group have seen, so that a commit past an unhandled record is caught at the commit. */
export class GroupWitness {
  readonly handled = new Map<number, Set<number>>()
  readonly overcommits: string[] = []

  see(record: LogRecord): void {
    const seen = this.handled.get(record.partition) ?? new Set()
    this.handled.set(record.partition, seen.add(record.offset))
  }

  count(): number {
    return [...this.handled.values()].reduce((sum, seen) => sum + seen.size, 0)
  }

  /** `published` are the offsets that hold records: a log may have gaps. */
  committing(partition: number, next: number, published: ReadonlySet<number>): void {
    for (const offset of published) {
      if (offset < next && this.handled.get(partition)?.has(offset) !== true) {
        this.overcommits.push(`partition ${partition} committed to ${next}, but ${offset} was not handled`)
      }
    }
  }
}

export interface MemberOptions {
  /** Default: commit every batch and go on. */
  readonly batch?: (assignment: PartitionAssignment, batch: LogBatch) => Promise<number>
  /** Default: the committed position, or the start. */
  readonly assigned?: (assignment: PartitionAssignment) => number
}

/** A group member that remembers all it was handed, and notices calls of one partition that overlap. */
export class Member implements GroupHandler {
  readonly bindsLake: PartitionAssignment[] = []
  readonly releases: PartitionAssignment[] = []
  readonly records: LogRecord[] = []
  readonly batches: LogBatch[] = []
  readonly overlaps: string[] = []
  readonly #options: MemberOptions
  readonly #busy = new Set<number>()

  constructor(options: MemberOptions = {}) {
    this.#options = options
  }

  /** Partitions held now, in order. */
  held(): number[] {
    const open = this.bindsLake
      .filter((assignment) => !assignment.signal.aborted)
      .map((assignment) => assignment.partition)
    return [...new Set(open)].sort((left, right) => left - right)
  }

  texts(): string[] {
    return this.records.map(text)
  }

  assigned(assignment: PartitionAssignment): Promise<number> {
    return this.#alone(assignment, () => {
      this.bindsLake.push(assignment)
      return Promise.resolve(this.#options.assigned?.(assignment) ?? assignment.committed ?? assignment.range.start)
    })
  }

  batch(assignment: PartitionAssignment, batch: LogBatch): Promise<number> {
    return this.#alone(assignment, async () => {
      this.batches.push(batch)
      this.records.push(...batch.records)
      if (this.#options.batch !== undefined) return this.#options.batch(assignment, batch)
      await commitWithRetry(assignment, batch.next)
      return batch.next
    })
  }

  released(assignment: PartitionAssignment): Promise<void> {
    this.releases.push(assignment)
    if (!assignment.signal.aborted) this.overlaps.push(`released ${assignment.partition} before its signal was aborted`)
    if (this.#busy.has(assignment.partition))
      this.overlaps.push(`released ${assignment.partition} while it was worked on`)
    return Promise.resolve()
  }

  async #alone<Value>(assignment: PartitionAssignment, work: () => Promise<Value>): Promise<Value> {
    if (this.#busy.has(assignment.partition)) this.overlaps.push(`two calls for partition ${assignment.partition}`)
    this.#busy.add(assignment.partition)
    try {
      return await work()
    } finally {
      this.#busy.delete(assignment.partition)
    }
  }
}

/** What a careful handler does: tries again while the log asks for it; everything else goes up. */
export async function commitWithRetry(
  assignment: PartitionAssignment,
  next: number,
  deadlineMs = 20_000,
): Promise<void> {
  await retrying(() => assignment.commit(next), deadlineMs)
}

/** Repeats a call that fails with `canRetry`, every 20 ms until the deadline. */
export async function retrying<Value>(call: () => Promise<Value>, deadlineMs: number): Promise<Value> {
  const deadline = Date.now() + deadlineMs
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!isRiverbankError(error) || !error.canRetry || Date.now() > deadline) throw error
      await sleep(20)
    }
  }
}

/** The stable code a promise rejects with; `resolved` when it does not reject, else the error itself. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    return error instanceof RiverbankError ? error.code : error
  }
}

/** Holds a handler until it is opened. */
export class Gate {
  #open: () => void = () => undefined
  readonly opened: Promise<void>

  constructor() {
    this.opened = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  open(): void {
    this.#open()
  }
}
