import type { Explanations } from '../scoring/explain/explainer.ts'
import type { Decider } from '../scoring/policy.ts'

/** One loaded model. Errors: `model_refused` at load, `score_failed` (canRetry) when it could not be run. */
export interface Scorer {
  readonly name: string
  readonly version: string
  /** The feature service that makes its vectors. */
  readonly service: string
  readonly thresholds: { readonly review: number; readonly block: number }
  /** Left out: its decisions are not explained. */
  readonly explanations?: Explanations
  /** A policy that decides instead of the thresholds alone. */
  readonly decider?: Decider
  /** `vectors`: `rows` × the service's length, finite (`vector_not_finite`). A probability per row; NaN: not finite. */
  score(vectors: Float32Array, rows: number): Promise<Float32Array>
  close(): Promise<void>
}
