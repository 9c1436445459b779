import type { Attempt } from './attempt.ts'
import { retrying, type StartOptions } from './assignment-start.ts'
import { markName, mayBeRecords, Trial, type Blame } from '../../isolation/trial.ts'
import type { PartitionAssignment, LogBatch } from '../../ports/log.ts'

/** The marks of the assignments that this member holds. */
export interface AssignmentTrials {
  /** Leaves a mark at the position where an assignment begins; answers it. */
  begin(assignment: PartitionAssignment, from: number): Promise<number>
  /** Whether an earlier assignment began here and did not get on: the processor then takes record by record. */
  isSuspicious(assignment: PartitionAssignment): boolean
  /** What to leave out of a part; also leaves the mark that names the record, should this process die of it. */
  blameFor(assignment: PartitionAssignment, part: LogBatch, attempt: Attempt): Promise<Blame | null>
  /** Takes the mark back: the assignment got on. Where that fails, the next assignment only goes slowly. */
  end(assignment: PartitionAssignment): Promise<void>
  /** An error ended the assignment. The mark stays where a record may be at fault, as if the process had died. */
  failed(assignment: PartitionAssignment, error: unknown): Promise<void>
}

/** With `isCounting` false it counts no crashes, and isolates only records whose handling throws. */
export function createAssignmentTrials(options: StartOptions, isCounting: boolean): AssignmentTrials {
  const { store, logger } = options
  const trials = new WeakMap<PartitionAssignment, Trial>()

  async function end(assignment: PartitionAssignment): Promise<void> {
    const trial = trials.get(assignment)
    trials.delete(assignment)
    await trial?.end().catch((error: unknown) => logger.warn('a mark was left behind', { error }))
  }

  return {
    async begin(assignment, from) {
      if (!isCounting) return from
      const trial = await retrying(options, assignment, 'leaving a mark', () =>
        Trial.begin(store, markName('process', assignment), from),
      )
      if (trial.isSuspicious) logger.warn('processes ended here before: one record at a time', { from })
      trials.set(assignment, trial)
      return from
    },
    isSuspicious: (assignment) => trials.get(assignment)?.isSuspicious === true,
    async blameFor(assignment, { records: [record] }, attempt) {
      const trial = trials.get(assignment)
      if (trial === undefined || record === undefined || !attempt.isAlone) return attempt.blame
      const died = await retrying(options, assignment, 'leaving a mark', () => trial.tryAlone(record.offset))
      return attempt.blame ?? died
    },
    end,
    async failed(assignment, error) {
      if (mayBeRecords(error)) trials.delete(assignment)
      else await end(assignment)
    },
  }
}
