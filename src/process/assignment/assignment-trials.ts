import type { Attempt } from './attempt.ts'
import { retrying, type StartOptions } from './assignment-start.ts'
import { markName, mayBeRecords, Trial, type Blame } from '../../isolation/trial.ts'
import type { PartitionAssignment, LogBatch } from '../../ports/log.ts'

/** The marks of the claims that are held. */
export interface AssignmentTrials {
  /** After the start of a claim was decided; answers it. */
  begin(assignment: PartitionAssignment, from: number): Promise<number>
  /** Whether processes ended where this claim began: its records are handled one by one. */
  isSuspicious(assignment: PartitionAssignment): boolean
  /** What is left out of a part; also leaves the mark that tells the next process what this one died of. */
  blameFor(assignment: PartitionAssignment, part: LogBatch, attempt: Attempt): Promise<Blame | null>
  /** Without its mark a claim is one that got on. Where it cannot be taken back, the next one only goes slowly. */
  end(assignment: PartitionAssignment): Promise<void>
  /** What ended the claim: the mark of what may be a record's fault stays, as where the process died of it. */
  failed(assignment: PartitionAssignment, error: unknown): Promise<void>
}

/** `isCounting` false: crashes are not counted, and only what throws is isolated. */
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
