import type { Decision } from './output-events.ts'

/**
 * Scores are probabilities of what labels report, 0 to 1: at `block` and above an event is refused, at `review` looked
 * at.
 */
export interface Thresholds {
  readonly review: number
  readonly block: number
}

export function decide(score: number, thresholds: Thresholds): Decision {
  if (score >= thresholds.block) return 'block'
  return score >= thresholds.review ? 'review' : 'approve'
}
