export interface RestartLimits {
  /** Pause before the first restart; each further crash within the window doubles it. */
  readonly delayMsMin: number
  readonly delayMsMax: number
  /** One crash more than this within the window, and the process is given up. */
  readonly crashesMax: number
  readonly windowMs: number
}

export type RestartDecision =
  { readonly kind: 'restart'; readonly delayMs: number } | { readonly kind: 'give_up'; readonly crashes: number }

/** What to do after a crash; `crashesMs` are the times of all crashes so far, the newest included. */
export function decideRestart(crashesMs: readonly number[], nowMs: number, limits: RestartLimits): RestartDecision {
  const crashes = recentCrashes(crashesMs, nowMs, limits).length
  if (crashes > limits.crashesMax) return { kind: 'give_up', crashes }
  const doubled = limits.delayMsMin * 2 ** Math.max(0, crashes - 1)
  return { kind: 'restart', delayMs: Math.min(limits.delayMsMax, doubled) }
}

/** The crashes that still count. */
export function recentCrashes(crashesMs: readonly number[], nowMs: number, limits: RestartLimits): readonly number[] {
  return crashesMs.filter((atMs) => atMs > nowMs - limits.windowMs)
}
