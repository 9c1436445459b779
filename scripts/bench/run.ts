import type { Metric } from './measurement.ts'

/** What a benchmark is run with. */
export interface Run {
  readonly rounds: number
  /** How long a round that measures over time goes on. */
  readonly seconds: number
  /** How long memory is watched. */
  readonly minutes: number
  /** Payments of one round of the pipeline. */
  readonly payments: number
  /** Aborted by SIGINT, SIGTERM or the end of a role; with its reason. */
  readonly signal: AbortSignal
  readonly record: (metric: Metric, value: number) => void
  readonly say: (text: string) => void
  /** True when another round would end too late; the first round is always run. */
  readonly isLate: () => boolean
}

/** Runs a round as often as was asked for and as time allows. */
export async function eachRound(run: Run, what: string, round: (number: number) => Promise<void>): Promise<void> {
  for (let number = 1; number <= run.rounds; number += 1) {
    run.signal.throwIfAborted()
    if (number > 1 && run.isLate()) {
      run.say(`${what}: time is up after ${number - 1} of ${run.rounds} rounds`)
      return
    }
    run.say(`${what}: round ${number} of ${run.rounds}`)
    await round(number)
  }
}
