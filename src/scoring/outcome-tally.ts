import type { Decision } from './emitted.ts'

/** What decisions cost, in minor units of the payments' currency. */
export interface CostModel {
  /** Of looking at one payment. */
  readonly reviewMinor: number
  /** Of refusing an honest customer. */
  readonly falseBlockMinor: number
}

/** Counts of payments by what was decided and what they turned out to be. */
export interface Confusion {
  readonly fraud: Readonly<Record<Decision, number>>
  readonly honest: Readonly<Record<Decision, number>>
}

export interface OutcomeReport {
  readonly payments: number
  readonly frauds: number
  readonly confusion: Confusion
  /** Share of the payments that are reviewed or blocked. */
  readonly alertRate: number
  /** Of those alerts, the share that is fraud; null without alerts. */
  readonly precision: number | null
  /** Of the frauds, the share with an alert; null without frauds. */
  readonly recall: number | null
  readonly blockPrecision: number | null
  readonly blockRecall: number | null
  /** Sums of fraudulent amounts, minor units. */
  readonly valueCaughtMinor: number
  readonly valueMissedMinor: number
  /** Missed value, reviews, and honest payments refused, at the prices of the cost model. */
  readonly costMinor: number
}

/** Adds up how decisions met reality. */
export class OutcomeTally {
  readonly #cost: CostModel
  readonly #fraud: Record<Decision, number> = { approve: 0, review: 0, block: 0 }
  readonly #honest: Record<Decision, number> = { approve: 0, review: 0, block: 0 }
  #caughtMinor = 0
  #missedMinor = 0

  constructor(cost: CostModel) {
    this.#cost = cost
  }

  add(decision: Decision, isFraud: boolean, amountMinor: number): void {
    this.addMany(decision, isFraud, 1, amountMinor)
  }

  /** `amountMinor` is the sum of all their amounts. */
  addMany(decision: Decision, isFraud: boolean, payments: number, amountMinor: number): void {
    const counts = isFraud ? this.#fraud : this.#honest
    counts[decision] += payments
    if (!isFraud) return
    if (decision === 'approve') this.#missedMinor += amountMinor
    else this.#caughtMinor += amountMinor
  }

  report(): OutcomeReport {
    const [fraud, honest] = [{ ...this.#fraud }, { ...this.#honest }]
    const frauds = fraud.approve + fraud.review + fraud.block
    const payments = frauds + honest.approve + honest.review + honest.block
    const caught = fraud.review + fraud.block
    const alerts = caught + honest.review + honest.block
    const reviews = fraud.review + honest.review
    return {
      payments,
      frauds,
      confusion: { fraud, honest },
      alertRate: payments === 0 ? 0 : alerts / payments,
      precision: share(caught, alerts),
      recall: share(caught, frauds),
      blockPrecision: share(fraud.block, fraud.block + honest.block),
      blockRecall: share(fraud.block, frauds),
      valueCaughtMinor: this.#caughtMinor,
      valueMissedMinor: this.#missedMinor,
      costMinor: this.#missedMinor + reviews * this.#cost.reviewMinor + honest.block * this.#cost.falseBlockMinor,
    }
  }
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole
}
