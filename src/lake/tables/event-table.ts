import { encodeEvent } from '../../events/event.ts'
import { isBinaryRecord, readRecordEvent } from '../../events/record-event.ts'
import type { DomainEvent, EventCatalog, EventErrorCode } from '../../events/event.ts'
import { traceHeader } from '../../events/trace.ts'
import { otherHeaders } from '../../events/resent-record.ts'
import type { RecordFaultCode } from '../../events/record-parts.ts'
import type { LogRecord } from '../../ports/log.ts'
import { tableSpec } from './table.ts'
import type { Cell, ColumnSpec, TableSpec } from './table.ts'

/** A record of the event topic, read: valid ones keep their text, the others their bytes. */
export interface EventRow {
  readonly record: LogRecord
  readonly event: DomainEvent | null
  readonly observedTimeMs: number | null
  /** The CloudEvent as it was received; of one in binary mode, as structured mode spells it. */
  readonly body: string | null
  readonly eventId: string | null
  readonly errorCode: EventErrorCode | RecordFaultCode | null
  /** The record's value, where the body is not its text. */
  readonly raw: Uint8Array | null
}

// A byte order mark is part of the text: what is stored must give back the bytes.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** Total: every record becomes a row. The rules are those of the processor, at the record's append time. */
export function readEventRow(record: LogRecord, catalog: EventCatalog): EventRow {
  if (record.fault !== undefined) return withoutEvent(record, record.fault.code)
  const result = readRecordEvent(record, catalog)
  if (result.kind === 'invalid') return withoutEvent(record, result.code, result.eventId)
  const { event } = result
  const isBinary = isBinaryRecord(record)
  return {
    record,
    event,
    observedTimeMs: result.observedAt,
    body: isBinary ? encodeEvent(result.received) : utf8.decode(record.value),
    eventId: event.eventId,
    errorCode: null,
    raw: isBinary ? record.value : null,
  }
}

/** A record that is no event: its bytes, and why. */
export function withoutEvent(record: LogRecord, errorCode: EventRow['errorCode'], eventId?: string): EventRow {
  const { value: raw } = record
  return { record, event: null, observedTimeMs: null, body: null, eventId: eventId ?? null, errorCode, raw }
}

/** Where a row came from; the same in every table. */
export function logColumns<Source>(recordOf: (source: Source) => LogRecord): readonly ColumnSpec<Source>[] {
  return [
    { name: 'log_topic', type: 'VARCHAR', read: (s) => recordOf(s).topic },
    { name: 'log_partition', type: 'BIGINT', read: (s) => recordOf(s).partition },
    { name: 'log_offset', type: 'BIGINT', read: (s) => recordOf(s).offset },
    { name: 'append_time_ms', type: 'BIGINT', read: (s) => recordOf(s).appendTimeMs },
    { name: 'traceparent', type: 'VARCHAR', read: (s) => recordOf(s).headers[traceHeader] ?? null },
  ]
}

const paymentType = 'payment.initiated'

function text(name: string): (row: EventRow) => Cell {
  return (row) => {
    const value = (row.event?.data as Readonly<Record<string, unknown>> | undefined)?.[name]
    return typeof value === 'string' ? value : null
  }
}

function integer(name: string): (row: EventRow) => Cell {
  return (row) => {
    const value = (row.event?.data as Readonly<Record<string, unknown>> | undefined)?.[name]
    return Number.isSafeInteger(value) ? (value as number) : null
  }
}

const namedPayment = text('paymentId')

/**
 * Every record of the event topic. The fields of the data are those of its current version (`version`); `body` is the
 * event as received. Invalid ones have `valid` false, `error_code` and their bytes in `raw`; of one in binary mode `raw`
 * has the data's bytes.
 */
export const eventTable: TableSpec<EventRow> = tableSpec<EventRow>(
  'events',
  [
    { name: 'event_id', type: 'VARCHAR', read: (r) => r.eventId },
    { name: 'event_type', type: 'VARCHAR', read: (r) => r.event?.eventType ?? null },
    { name: 'version', type: 'BIGINT', read: (r) => r.event?.version ?? null },
    { name: 'event_time', type: 'TIMESTAMP', read: (r) => r.event?.timestamp ?? null },
    { name: 'event_time_ms', type: 'BIGINT', read: (r) => r.event?.timestamp ?? null },
    { name: 'observed_time_ms', type: 'BIGINT', read: (r) => r.observedTimeMs },
    { name: 'customer_id', type: 'VARCHAR', read: text('customerId') },
    { name: 'terminal_id', type: 'VARCHAR', read: text('terminalId') },
    { name: 'amount_minor', type: 'BIGINT', read: integer('amountMinor') },
    { name: 'currency', type: 'VARCHAR', read: text('currency') },
    // A payment is its own payment; a label names the one it is about.
    {
      name: 'payment_id',
      type: 'VARCHAR',
      read: (r) => (r.event?.eventType === paymentType ? r.event.eventId : namedPayment(r)),
    },
    { name: 'label_kind', type: 'VARCHAR', read: text('kind') },
    { name: 'correlation_id', type: 'VARCHAR', read: (r) => r.event?.correlationId ?? null },
    { name: 'causation_id', type: 'VARCHAR', read: (r) => r.event?.causationId ?? null },
    { name: 'source', type: 'VARCHAR', read: (r) => r.event?.metadata?.source ?? null },
    { name: 'valid', type: 'BOOLEAN', read: (r) => r.event !== null },
    { name: 'error_code', type: 'VARCHAR', read: (r) => r.errorCode },
    { name: 'body', type: 'VARCHAR', read: (r) => r.body },
    { name: 'raw', type: 'BLOB', read: (r) => r.raw },
    { name: 'log_key', type: 'VARCHAR', read: (r) => r.record.key },
    { name: 'headers', type: 'VARCHAR', read: (r) => otherHeaders(r.record.headers) },
    ...logColumns<EventRow>((r) => r.record),
  ],
  'event_time_ms',
)
