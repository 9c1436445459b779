import { RiverbankError } from '../../base/errors.ts'

/** The reasons to refuse a model. Stable, like error codes; in the order of the checks. */
export const refusalReasons = [
  'registry_missing',
  'registry_invalid',
  'file_missing',
  'file_too_large',
  'manifest_invalid',
  'hash_mismatch',
  'external_data',
  'covers_mismatch',
  'feature_set_mismatch',
  'features_mismatch',
  'thresholds_invalid',
  'session_failed',
  'signature_mismatch',
  'score_not_finite',
  'golden_mismatch',
  'batch_dependent',
  'policy_missing',
  'policy_invalid',
] as const
export type RefusalReason = (typeof refusalReasons)[number]

/** A model that failed a load check: code `model_refused`; the message begins with the reason. */
export class ModelRefused extends RiverbankError<'model_refused'> {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string, cause?: unknown) {
    super('model_refused', `${reason}: ${message}`, cause === undefined ? {} : { cause })
    this.reason = reason
  }
}

/** True for a {@link ModelRefused}, for this reason when one is given. */
export function isModelRefused(error: unknown, reason?: RefusalReason): error is ModelRefused {
  return error instanceof ModelRefused && (reason === undefined || error.reason === reason)
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
