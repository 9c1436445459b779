import type { GrowthSizes } from './growth/sizes.ts'
import type { Metric } from './measurement.ts'

/** The parameters of a benchmark's run. */
export interface Run {
  readonly rounds: number
  /** The duration of a round that measures over time. */
  readonly seconds: number
  /** The duration of the memory benchmark. */
  readonly minutes: number
  /** Payments of one round of the stream. */
  readonly payments: number
  /** Every benchmark only shows that it runs: see {@link sized}. */
  readonly isShort?: boolean
  /** Sizes of the benchmark of growth; left out: all of them. */
  readonly growth?: GrowthSizes
  /** Aborted by SIGINT, SIGTERM or the end of a role; with its reason. */
  readonly signal: AbortSignal
  readonly record: (metric: Metric, value: number) => void
  readonly say: (text: string) => void
  /** True when another round would end too late; the first round always runs. */
  readonly isLate: () => boolean
}

/** The size that a benchmark measures with, or the one that shows that it runs. */
export function sized<Size>({ isShort }: Pick<Run, 'isShort'>, full: Size, short: Size): Size {
  return isShort === true ? short : full
}

/** Runs a round as often as requested and as time allows. */
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
