import { eventErrorCodes } from '../events/event-error-code.ts'
import type { LabelVerdict } from '../engine/observation.ts'
import { recordFaultCodes } from '../events/codec/record-parts.ts'

/** Codes of an event that was applied and has no score. */
export const unscoredCodes = ['vector_not_finite', 'score_not_finite'] as const

const verdictCodes = ['unknown_subject', 'contradicts_subject'] as const satisfies readonly NonNullable<LabelVerdict>[]

/** Why a record becomes a dead letter: every code there is. */
export const deadLetterCodes: readonly string[] = [
  ...eventErrorCodes,
  ...verdictCodes,
  ...unscoredCodes,
  ...recordFaultCodes,
]
