import { Attempt, saidOf } from './attempt.ts'
import { partOf, type BatchSize } from './batch-size.ts'
import { createStarts, retrying, type Current, type StartOptions } from './claim-start.ts'
import { stateMoved } from './entity-states.ts'
import type { BatchOutcome, Pipeline } from './pipeline.ts'
import { mayBeRecords, Trial, type Blame } from './trial.ts'
import { assert, isRiverbankError, RiverbankError } from '../core/errors.ts'
import type { Claim, GroupHandler, LogBatch } from '../ports.ts'

export interface ProcessorOptions extends StartOptions {
  readonly pipeline: Pipeline
  readonly size: BatchSize
  /** Whether crashes of processes are counted beside the states, so that no record ends one for good. */
  readonly trials?: boolean
}

/** The processor as a member of its group: decides where to start, runs batches, commits them. */
export function createProcessor(options: ProcessorOptions): GroupHandler {
  const { pipeline, size, metrics, logger } = options
  const starts = createStarts(options)
  const trials = new WeakMap<Claim, Trial>()

  /** Only a commit is left: alone it is tried again, so that nothing is published again for its sake. */
  async function commitPart(claim: Claim, batch: LogBatch, { goneOffset }: BatchOutcome, current: Current) {
    current.applied = Math.max(current.applied, batch.next)
    if (goneOffset !== null) {
      const ask = () => options.committed(claim.topic, claim.partition)
      const committed = await retrying(options, claim, 'reading the commit', ask)
      assert(committed !== null && committed > goneOffset, 'R5: a snapshot is gone only after its batch was committed')
    }
    const commit = () => claim.commit(batch.next)
    if (batch.next >= current.publishFrom) await retrying(options, claim, 'committing', commit)
    metrics.committed(batch.topic, batch.partition, batch.end - batch.next)
  }

  /** A batch in parts of what is bearable now, each committed before the next begins (R4). */
  async function runBatch(claim: Claim, batch: LogBatch, current: Current): Promise<number> {
    const trial = trials.get(claim) ?? null
    const attempt = new Attempt(trial?.isSuspicious === true)
    for (let done = 0; ;) {
      const part = partOf(batch, done, Math.min(size.records, attempt.most))
      const { length } = part.records
      const begun = size.begin()
      let outcome: BatchOutcome
      try {
        if (options.guard?.isRefused() === true) throw stateMoved('the states are refused')
        const blame = await blameFor(claim, part, trial, attempt)
        outcome = await pipeline(part, { ...current, isDivisible: length > 1, signal: claim.signal, blame })
      } catch (error) {
        if (claim.signal.aborted) throw error
        if (isRiverbankError(error, 'state_moved')) return starts.beginAgain(claim, part, current.publishFrom)
        const next = attempt.failed(error, length)
        if (next === 'end') throw error
        if (next === 'fewer') size.shrink(length, 'timeout')
        const fields = { partition: batch.partition, offset: part.records[0]?.offset, records: length }
        logger.warn(saidOf[next], { ...fields, most: attempt.most, error })
        continue
      }
      await commitPart(claim, part, outcome, current)
      size.succeed(begun)
      attempt.succeeded()
      done += length
      if (done < batch.records.length && !claim.signal.aborted) continue
      await endTrial(claim)
      return part.next
    }
  }

  /** Also leaves the mark that tells the next process what this one died of. */
  async function blameFor(claim: Claim, part: LogBatch, trial: Trial | null, attempt: Attempt): Promise<Blame | null> {
    const [record] = part.records
    if (trial === null || record === undefined || !attempt.isAlone) return attempt.blame
    const died = await retrying(options, claim, 'leaving a mark', () => trial.tryAlone(record.offset))
    return attempt.blame ?? died
  }

  async function assigned(claim: Claim): Promise<number> {
    const from = await starts.begin(claim)
    if (options.trials === true) {
      const begin = () => Trial.begin(options.store, claim, from)
      const trial = await retrying(options, claim, 'leaving a mark', begin)
      if (trial.isSuspicious) logger.warn('processes ended here before: one record at a time', { from })
      trials.set(claim, trial)
    }
    return from
  }

  /** Without its mark a claim is one that got on. Where it cannot be taken back, the next one only goes slowly. */
  async function endTrial(claim: Claim): Promise<void> {
    const trial = trials.get(claim)
    trials.delete(claim)
    await trial?.end().catch((error: unknown) => logger.warn('a mark was left behind', { error }))
  }

  return {
    assigned: (claim) => whileHeld(claim, () => assigned(claim)),
    batch: (claim, batch) => {
      const current = starts.of(claim)
      assert(current !== undefined, 'a batch belongs to a claim that began')
      return whileHeld(claim, () => runBatch(claim, batch, current)).catch(async (error: unknown) => {
        // This process lives to see what ended the claim: an outage, most of the time, and no record's fault.
        if (!mayBeRecords(error)) await endTrial(claim)
        throw error
      })
    },
    released: (claim) => endTrial(claim),
  }
}

/**
 * What fails once the claim was lost is its next owner's business, and never ends the role: an outage of Redis loses the
 * claims of the redis log, and with them the patience of every step, long before the tries are used up.
 */
async function whileHeld<Result>(claim: Claim, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (!claim.signal.aborted || !isRiverbankError(error)) throw error
    if (!error.canRetry && error.code !== 'state_moved') throw error
    throw new RiverbankError('fenced', 'the claim ended meanwhile', { cause: error })
  }
}
