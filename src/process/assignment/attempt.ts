import { blameAfter, mayBeRecords, type Blame } from '../../isolation/trial.ts'
import { isRiverbankError } from '../../base/errors.ts'

export const saidOf = {
  fewer: 'a batch timed out, trying fewer events',
  again: 'handling a batch failed, trying again',
  alone: 'handling a batch failed twice, trying its records one by one',
  blamed: 'handling a record failed, leaving it to the dead letters',
} as const

/** The failures so far of the part that the processor handles now. */
export class Attempt {
  /** How many records may be tried together. */
  most = Infinity
  /** Records are tried one by one, to find the one that makes the handling fail. */
  isAlone: boolean
  blame: Blame | null = null
  #failures = 0

  constructor(isAlone: boolean) {
    this.isAlone = isAlone
    if (isAlone) this.most = 1
  }

  /** A time-out halves the part, whatever other partitions bear; after two failures records are tried alone. */
  failed(error: unknown, records: number): keyof typeof saidOf | 'end' {
    if (isRiverbankError(error) && error.timedOut) {
      if (records === 1) return 'end'
      this.most = Math.floor(records / 2)
      return 'fewer'
    }
    // A stalled handler may still run in this process: only another process may try again.
    if (!mayBeRecords(error) || isRiverbankError(error, 'handler_stalled')) return 'end'
    this.#failures += 1
    if (records > 1 && this.#failures > 1) {
      this.#failures = 0
      this.isAlone = true
      this.most = 1
      return 'alone'
    }
    if (this.#failures === 1) return 'again'
    this.blame = blameAfter(this.#failures, error)
    return this.blame === null ? 'end' : 'blamed'
  }

  succeeded(): void {
    this.#failures = 0
    this.blame = null
    if (!this.isAlone) this.most = Infinity
  }
}
