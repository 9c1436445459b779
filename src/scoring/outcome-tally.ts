import type { Decision } from './output-events.ts'

/** What decisions cost, in the unit of what the events are worth: minor units, where that is money. */
export interface CostModel {
  /** Of looking at one event. */
  readonly reviewMinor: number
  /** Of refusing an honest event. */
  readonly falseBlockMinor: number
}

/** Counts of events by what was decided and what they turned out to be. */
export interface Confusion {
  readonly fraud: Readonly<Record<Decision, number>>
  readonly honest: Readonly<Record<Decision, number>>
}

export interface OutcomeReport {
  readonly events: number
  readonly frauds: number
  readonly confusion: Confusion
  /** Share of the events that are reviewed or blocked. */
  readonly alertRate: number
  /** Of those alerts, the share that is fraud; null without alerts. */
  readonly precision: number | null
  /** Of the frauds, the share with an alert; null without frauds. */
  readonly recall: number | null
  readonly blockPrecision: number | null
  readonly blockRecall: number | null
  /** Sums of what frauds were worth. */
  readonly valueCaughtMinor: number
  readonly valueMissedMinor: number
  /** Missed value, reviews, and honest events refused, at the prices of the cost model. */
  readonly costMinor: number
}

/** Counts decisions by what the events turned out to be. */
export class OutcomeTally {
  readonly #cost: CostModel
  readonly #fraud: Record<Decision, number> = { approve: 0, review: 0, block: 0 }
  readonly #honest: Record<Decision, number> = { approve: 0, review: 0, block: 0 }
  #caughtMinor = 0
  #missedMinor = 0

  constructor(cost: CostModel) {
    this.#cost = cost
  }

  add(decision: Decision, isFraud: boolean, worth: number): void {
    this.addMany(decision, isFraud, 1, worth)
  }

  /** `worth` is the sum of what they are worth. */
  addMany(decision: Decision, isFraud: boolean, events: number, worth: number): void {
    const counts = isFraud ? this.#fraud : this.#honest
    counts[decision] += events
    if (!isFraud) return
    if (decision === 'approve') this.#missedMinor += worth
    else this.#caughtMinor += worth
  }

  report(): OutcomeReport {
    const [fraud, honest] = [{ ...this.#fraud }, { ...this.#honest }]
    const frauds = fraud.approve + fraud.review + fraud.block
    const events = frauds + honest.approve + honest.review + honest.block
    const caught = fraud.review + fraud.block
    const alerts = caught + honest.review + honest.block
    const reviews = fraud.review + honest.review
    return {
      events,
      frauds,
      confusion: { fraud, honest },
      alertRate: events === 0 ? 0 : alerts / events,
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
