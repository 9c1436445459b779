import { letterIdOf } from './dead-letter.ts'
import type { Applied } from '../stages.ts'
import { replayedEvent } from './placed-letter.ts'
import { processorSource } from '../../scoring/output-events.ts'
import { isBinaryRecord } from '../../events/codec/record-event.ts'
import { traceHeader } from '../../events/trace.ts'
import { otherHeaders, resent, waitingText } from '../../events/codec/resent-record.ts'
import type { LogRecord, OutgoingRecord } from '../../ports/log.ts'

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** A label's record as the state of its aggregate keeps it until its subject comes; null for one that is too long. */
export function textOf(record: LogRecord): string | null {
  const { headers, value, partition, offset } = record
  return waitingText({
    value: utf8.decode(value),
    isBinary: isBinaryRecord(record),
    headers: otherHeaders(headers),
    traceparent: headers[traceHeader] ?? null,
    partition,
    offset,
  })
}

/**
 * The labels that waited for this event, to be sent again, each with the event that its letter was replayed: the state
 * knows their subject now. A copy after a crash is a duplicate, as any other.
 */
export function releasedRecords(
  { record, decoded: { event }, responses }: Pick<Applied, 'record' | 'decoded' | 'responses'>,
  deadLetters: string,
): OutgoingRecord[] {
  const { topic } = record
  const subject = event.aggregateId
  const released = responses.flatMap((response) => response?.released ?? []).map(resent)
  return released.flatMap(({ value, headers, from }) => {
    const letterId = letterIdOf({ topic, ...from })
    const data = { letterId, replayedAtMs: record.appendTimeMs }
    const by = { topic: deadLetters, subject, correlationId: letterId, headers }
    return [{ topic, key: subject, value, headers }, replayedEvent(data, { ...by, source: processorSource })]
  })
}
