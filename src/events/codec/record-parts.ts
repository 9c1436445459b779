/** What a log may hold beyond text: bytes that are not UTF-8, headers that are null or repeated, and their order. */
export interface ExactParts {
  readonly key: Uint8Array | null
  readonly headers: readonly ExactHeader[]
  /** The record has no value, which is not the same as an empty one. */
  readonly isValueNull: boolean
}

export type ExactHeader = readonly [name: Uint8Array, value: Uint8Array | null]

/** Why a record could not be read. Codes are stable: dead letters and the lake carry them. */
export interface RecordFault {
  readonly code: RecordFaultCode
  readonly detail: string
}

/** `processing_failed`, `scoring_failed`, `processing_crashed`: it was read, and its handling fails or crashes. */
export const recordFaultCodes = [
  'batch_unreadable',
  'record_unreadable',
  'record_too_large',
  'processing_failed',
  'scoring_failed',
  'processing_crashed',
] as const
export type RecordFaultCode = (typeof recordFaultCodes)[number]

/** `wrong`: no role may work with the topic. `risky`: something may be lost or refused one day. */
export interface TopicFinding {
  readonly severity: 'wrong' | 'risky'
  readonly what: string
  /** The command that mends it. */
  readonly fix: string
}
