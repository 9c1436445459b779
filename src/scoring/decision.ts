import type { Decision } from './output-events.ts'

/**
 * Scores are probabilities of what labels report: an event is refused at `block` and above, looked at from `review`.
 */
export interface Thresholds {
  readonly review: number
  readonly block: number
}

export function decide(score: number, thresholds: Thresholds): Decision {
  if (score >= thresholds.block) return 'block'
  return score >= thresholds.review ? 'review' : 'approve'
}
