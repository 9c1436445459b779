/** What a run came to. Counts are tests; a suite or file that broke before its tests counts as one failure. */
export interface Outcome {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** The outermost suites of which no test ran, and single skipped tests outside of them. */
  readonly left: readonly Left[]
}

export interface Left {
  readonly kind: 'suite' | 'test'
  readonly name: string
  readonly reason: string
}

/** `skipped: nothing`, or one line with the counts and reasons. */
export function skippedLine(left: readonly Left[]): string {
  if (left.length === 0) return 'skipped: nothing'
  const groups = new Map<string, { suites: number; tests: number }>()
  for (const { kind, reason } of left) {
    const group = groups.get(reason) ?? { suites: 0, tests: 0 }
    if (kind === 'suite') group.suites += 1
    else group.tests += 1
    groups.set(reason, group)
  }
  const counted = (count: number, noun: string) => (count === 0 ? [] : [`${count} ${noun}${count === 1 ? '' : 's'}`])
  const parts = [...groups].map(([reason, { suites, tests }]) => {
    const counts = [...counted(suites, 'suite'), ...counted(tests, 'test')].join(' and ')
    return `${counts} (${reason.replaceAll(/\s+/g, ' ')})`
  })
  return `skipped: ${parts.join(', ')}`
}

export function countsLine({ passed, failed, skipped }: Omit<Outcome, 'left'>): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}
