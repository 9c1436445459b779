import type { Unexplained } from '../../../scoring/explain/explainer.ts'

/** Why nothing exact can be said of a model's features, whatever it scores. */
export class Unavailable extends Error {
  readonly code: Unexplained

  constructor(message: string, code: Unexplained = 'not_followed') {
    super(message)
    this.code = code
  }
}
