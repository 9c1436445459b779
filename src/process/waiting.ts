import type { Effect } from './observe-batch.ts'
import { isBinaryRecord } from '../core/record-event.ts'
import { traceHeader } from '../core/trace.ts'
import { otherHeaders, resent, waitingText } from '../core/waiting-record.ts'
import type { LogRecord, OutgoingRecord } from '../ports.ts'

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** A label's record as its customer's state keeps it until the payment comes; null for one that is too long. */
export function textOf(record: LogRecord): string | null {
  const { headers, value } = record
  return waitingText({
    value: utf8.decode(value),
    isBinary: isBinaryRecord(record),
    headers: otherHeaders(headers),
    traceparent: headers[traceHeader] ?? null,
  })
}

/**
 * The labels that waited for this event, sent again: the state knows their subject now. A copy after a crash is a
 * duplicate, as any other.
 */
export function releasedRecords({ item, snapshots }: Extract<Effect, { kind: 'applied' }>): OutgoingRecord[] {
  const { topic } = item.record
  const key = item.event.aggregateId
  return snapshots.flatMap((snapshot) => (snapshot?.released ?? []).map((text) => ({ topic, key, ...resent(text) })))
}
