import { Attempt, saidOf } from './assignment/attempt.ts'
import { partOf, type BatchBegun, type BatchSize } from './assignment/batch-size.ts'
import { createAssignmentTrials, type AssignmentTrials } from './assignment/assignment-trials.ts'
import { createStarts, retrying, type Current, type StartOptions } from './assignment/assignment-start.ts'
import { stateMoved } from './entity-states.ts'
import type { BatchOutcome, Pipeline } from './pipeline.ts'
import type { Turns } from './turns.ts'
import { assert, isRiverbankError, RiverbankError } from '../base/errors.ts'
import type { PartitionAssignment, GroupHandler, LogBatch } from '../ports/log.ts'

export interface ProcessorOptions extends StartOptions {
  readonly pipeline: Pipeline
  readonly size: BatchSize
  readonly turns: Turns
  /** Whether the processor counts crashes in the store, so that no record ends processes for ever. */
  readonly trials?: boolean
}

/** A part that the pipeline is done with; it is not committed yet. */
interface Ran {
  readonly begun: BatchBegun
  readonly outcome: BatchOutcome
}

type RunPart = (assignment: PartitionAssignment, part: LogBatch, current: Current, attempt: Attempt) => Promise<Ran>

/** Runs a part once, in a turn of its own. */
function createRunPart({ pipeline, size, turns, guard }: ProcessorOptions, trials: AssignmentTrials): RunPart {
  return async (assignment, part, current, attempt) => {
    const { signal } = assignment
    const turn = await turns.take(part.records.length, signal)
    try {
      const begun = size.begin()
      if (guard?.isRefused() === true) throw stateMoved('the states are refused')
      const blame = await trials.blameFor(assignment, part, attempt)
      const isDivisible = part.records.length > 1
      return { begun, outcome: await pipeline(part, { ...current, isDivisible, clock: turn.clock, signal, blame }) }
    } finally {
      turn.end()
    }
  }
}

/** The processor as a member of its group: decides where to start, runs batches, commits them. */
export function createProcessor(options: ProcessorOptions): GroupHandler {
  const { size, metrics, logger } = options
  const starts = createStarts(options)
  const trials = createAssignmentTrials(options, options.trials === true)
  const runPart = createRunPart(options, trials)

  /** Retries the commit alone, so that nothing is published again for its sake. */
  async function commitPart(
    assignment: PartitionAssignment,
    batch: LogBatch,
    { goneOffset }: BatchOutcome,
    current: Current,
  ) {
    current.applied = Math.max(current.applied, batch.next)
    if (goneOffset !== null) {
      const ask = () => options.committed(assignment.topic, assignment.partition)
      const committed = await retrying(options, assignment, 'reading the commit', ask)
      assert(
        committed !== null && committed > goneOffset,
        'R5: a stored response is gone only after its batch was committed',
      )
    }
    const commit = () => assignment.commit(batch.next)
    if (batch.next >= current.publishFrom) await retrying(options, assignment, 'committing', commit)
    metrics.committed(batch.topic, batch.partition, batch.end - batch.next)
  }

  /** Runs a batch in parts of the current size, each committed before the next begins (R4). */
  async function runBatch(assignment: PartitionAssignment, batch: LogBatch, current: Current): Promise<number> {
    const attempt = new Attempt(trials.isSuspicious(assignment))
    for (let done = 0; ;) {
      const part = partOf(batch, done, Math.min(size.records, attempt.most))
      const { length } = part.records
      let ran: Ran
      try {
        ran = await runPart(assignment, part, current, attempt)
      } catch (error) {
        if (assignment.signal.aborted) throw error
        if (isRiverbankError(error, 'state_moved')) return starts.beginAgain(assignment, part, current.publishFrom)
        const next = attempt.failed(error, length)
        if (next === 'end') throw error
        if (next === 'fewer') size.shrink(length, 'timeout')
        logger.warn(saidOf[next], { partition: batch.partition, records: length, most: attempt.most, error })
        continue
      }
      await commitPart(assignment, part, ran.outcome, current)
      size.succeed(ran.begun)
      attempt.succeeded()
      done += length
      if (done < batch.records.length && !assignment.signal.aborted) continue
      await trials.end(assignment)
      return part.next
    }
  }

  return {
    assigned: (assignment) =>
      whileHeld(assignment, async () => trials.begin(assignment, await starts.begin(assignment))),
    batch: (assignment, batch) => {
      const current = starts.of(assignment)
      assert(current !== undefined, 'a batch belongs to an assignment that began')
      return whileHeld(assignment, () => runBatch(assignment, batch, current)).catch(async (error: unknown) => {
        // This process survived: most of the time an outage ended the assignment, and no record's fault.
        await trials.failed(assignment, error)
        throw error
      })
    },
    released: (assignment) => trials.end(assignment),
  }
}

/**
 * A retryable error, or `state_moved`, after the member lost the assignment does not end the role: the next owner
 * repeats the work. An outage of Redis ends the assignments of the redis log, and with them every retry, long before
 * the tries are used up.
 */
async function whileHeld<Result>(assignment: PartitionAssignment, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!assignment.signal.aborted || !isRiverbankError(error)) throw error
    if (!error.canRetry && error.code !== 'state_moved') throw error
    throw new RiverbankError('fenced', 'the assignment ended meanwhile', { cause: error })
  }
}
