export interface RestartLimits {
  /** Pause before the first restart; each further crash within the window doubles it. */
  readonly delayMsMin: number
  readonly delayMsMax: number
  readonly windowMs: number
  /** The supervisor gives the process up at one crash more than this within the window; null: never. */
  readonly crashesMax: number | null
}

/** `crashes`: the number of crashes that count. */
export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number; readonly crashes: number }
  | { readonly kind: 'give_up'; readonly crashes: number }

/** Decides whether to restart after a crash; `crashesMs` are the times of all crashes so far, the newest included. */
export function decideRestart(crashesMs: readonly number[], nowMs: number, limits: RestartLimits): RestartDecision {
  const crashes = recentCrashes(crashesMs, nowMs, limits).length
  if (limits.crashesMax !== null && crashes > limits.crashesMax) return { kind: 'give_up', crashes }
  const doubled = limits.delayMsMin * 2 ** Math.max(0, crashes - 1)
  return { kind: 'restart', delayMs: Math.min(limits.delayMsMax, doubled), crashes }
}

/** The crashes that still count. */
export function recentCrashes(
  crashesMs: readonly number[],
  nowMs: number,
  { windowMs }: Pick<RestartLimits, 'windowMs'>,
): readonly number[] {
  return crashesMs.filter((atMs) => atMs > nowMs - windowMs)
}
