import type { Unexplained } from '../../../scoring/explain/explainer.ts'

/** Why a model has no exact contributions of its features. */
export class Unavailable extends Error {
  readonly code: Unexplained

  constructor(message: string, code: Unexplained = 'not_followed') {
    super(message)
    this.code = code
  }
}
