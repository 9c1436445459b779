import type { Attempt } from './attempt.ts'
import { retrying, type StartOptions } from './assignment-start.ts'
import { markName, mayBeRecords, Trial, type Blame } from '../../isolation/trial.ts'
import type { Claim, LogBatch } from '../../ports/log.ts'

/** The marks of the claims that are held. */
export interface ClaimTrials {
  /** After the start of a claim was decided; answers it. */
  begin(claim: Claim, from: number): Promise<number>
  /** Whether processes ended where this claim began: its records are handled one by one. */
  isSuspicious(claim: Claim): boolean
  /** What is left out of a part; also leaves the mark that tells the next process what this one died of. */
  blameFor(claim: Claim, part: LogBatch, attempt: Attempt): Promise<Blame | null>
  /** Without its mark a claim is one that got on. Where it cannot be taken back, the next one only goes slowly. */
  end(claim: Claim): Promise<void>
  /** What ended the claim: the mark of what may be a record's fault stays, as where the process died of it. */
  failed(claim: Claim, error: unknown): Promise<void>
}

/** `isCounting` false: crashes are not counted, and only what throws is isolated. */
export function createClaimTrials(options: StartOptions, isCounting: boolean): ClaimTrials {
  const { store, logger } = options
  const trials = new WeakMap<Claim, Trial>()

  async function end(claim: Claim): Promise<void> {
    const trial = trials.get(claim)
    trials.delete(claim)
    await trial?.end().catch((error: unknown) => logger.warn('a mark was left behind', { error }))
  }

  return {
    async begin(claim, from) {
      if (!isCounting) return from
      const trial = await retrying(options, claim, 'leaving a mark', () =>
        Trial.begin(store, markName('process', claim), from),
      )
      if (trial.isSuspicious) logger.warn('processes ended here before: one record at a time', { from })
      trials.set(claim, trial)
      return from
    },
    isSuspicious: (claim) => trials.get(claim)?.isSuspicious === true,
    async blameFor(claim, { records: [record] }, attempt) {
      const trial = trials.get(claim)
      if (trial === undefined || record === undefined || !attempt.isAlone) return attempt.blame
      const died = await retrying(options, claim, 'leaving a mark', () => trial.tryAlone(record.offset))
      return attempt.blame ?? died
    },
    end,
    async failed(claim, error) {
      if (mayBeRecords(error)) trials.delete(claim)
      else await end(claim)
    },
  }
}
