import { letterOf } from './dead-letter.ts'
import type { Effect } from './observe-batch.ts'
import { replayOf } from './replay.ts'
import { deadLetterSchema } from '../core/emitted.ts'
import type { LogRecord, OutgoingRecord } from '../ports.ts'

/** UTF-16 units of a record with its key and headers, as JSON: what a state has room for, several times. */
const textLengthMax = 8 * 1024

/** A label's record as its customer's state keeps it until the payment comes; null for one that is too long. */
export function waitingText(record: LogRecord): string | null {
  const text = JSON.stringify(letterOf(record, 'unknown_subject', ''))
  return text.length > textLengthMax ? null : text
}

/**
 * The labels that waited for this event, sent again to where they came from: the state knows their subject now. A copy
 * after a crash is a duplicate, as any other.
 */
export function releasedRecords({ snapshots }: Extract<Effect, { kind: 'applied' }>): OutgoingRecord[] {
  return snapshots.flatMap((snapshot) =>
    (snapshot?.released ?? []).map((text) => replayOf(deadLetterSchema.parse(JSON.parse(text)))),
  )
}
