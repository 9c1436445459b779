import { encodeEvent } from '../../events/event.ts'
import { isBinaryRecord, readRecordEvent } from '../../events/codec/record-event.ts'
import type { DomainEvent, EventCatalog } from '../../events/event.ts'
import type { EventErrorCode } from '../../events/event-error-code.ts'
import { traceHeader } from '../../events/trace.ts'
import { otherHeaders } from '../../events/codec/resent-record.ts'
import type { RecordFaultCode } from '../../events/codec/record-parts.ts'
import type { LogRecord } from '../../ports/log.ts'
import type { Column } from '../../ports/tables.ts'
import { cellOf } from './field-kind.ts'
import { ownId, type DataColumn, type LakeSchema } from './lake-schema.ts'
import { tableSpec } from './table.ts'
import type { ColumnSpec, TableSpec } from './table.ts'

/** A record of the event topic, read: valid ones keep their text, the others their bytes. */
export interface EventRow {
  readonly record: LogRecord
  readonly event: DomainEvent | null
  readonly observedTimeMs: number | null
  /** The CloudEvent as received; one in binary mode as structured mode spells it. */
  readonly body: string | null
  readonly eventId: string | null
  readonly errorCode: EventErrorCode | RecordFaultCode | null
  /** The record's value, where the body is not its text. */
  readonly raw: Uint8Array | null
}

// A byte order mark is part of the text: the stored text must give back the bytes.
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

/** A record that is no event: its bytes, and the error code. */
export function withoutEvent(record: LogRecord, errorCode: EventRow['errorCode'], eventId?: string): EventRow {
  const { value: raw } = record
  return { record, event: null, observedTimeMs: null, body: null, eventId: eventId ?? null, errorCode, raw }
}

/** The columns for a row's position in the log; the same in every table. */
export function logColumns<Source>(recordOf: (source: Source) => LogRecord): readonly ColumnSpec<Source>[] {
  return [
    { name: 'log_topic', type: 'VARCHAR', read: (s) => recordOf(s).topic },
    { name: 'log_partition', type: 'BIGINT', read: (s) => recordOf(s).partition },
    { name: 'log_offset', type: 'BIGINT', read: (s) => recordOf(s).offset },
    { name: 'append_time_ms', type: 'BIGINT', read: (s) => recordOf(s).appendTimeMs },
    { name: 'traceparent', type: 'VARCHAR', read: (s) => recordOf(s).headers[traceHeader] ?? null },
  ]
}

const head: readonly ColumnSpec<EventRow>[] = [
  { name: 'event_id', type: 'VARCHAR', read: (r) => r.eventId },
  { name: 'event_type', type: 'VARCHAR', read: (r) => r.event?.eventType ?? null },
  { name: 'version', type: 'BIGINT', read: (r) => r.event?.version ?? null },
  { name: 'event_time', type: 'TIMESTAMP', read: (r) => r.event?.timestamp ?? null },
  { name: 'event_time_ms', type: 'BIGINT', read: (r) => r.event?.timestamp ?? null },
  { name: 'observed_time_ms', type: 'BIGINT', read: (r) => r.observedTimeMs },
]

const tail: readonly ColumnSpec<EventRow>[] = [
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
]

/** The columns that every lake has, whatever its event types. */
export const envelopeColumns: readonly Column[] = [...head, ...tail]

/**
 * Every record of the event topic. The fields of the data are those of its current version (`version`), each a column
 * of its own; `body` is the event as received. Invalid ones have `valid` false, `error_code` and their bytes in `raw`:
 * in binary mode, the bytes of the data.
 */
export function eventTable({ data, owner }: Pick<LakeSchema, 'data' | 'owner'>): TableSpec<EventRow> {
  const columns = [...head, ...data.map(dataColumn), ...tail]
  return tableSpec('events', columns, { eventTimes: ['event_time_ms'], identity: { aggregate: owner, id: 'event_id' } })
}

function dataColumn({ name, type, kind, sources }: DataColumn): ColumnSpec<EventRow> {
  return {
    name,
    type,
    holds: [...sources].map(([eventType, source]) => heldOf(eventType, source)).join(' and '),
    read({ event }) {
      const source = event === null ? undefined : sources.get(event.eventType)
      if (event === null || source === undefined) return null
      if (source === ownId) return event.eventId
      // The schema of every type is one of an object.
      return cellOf(kind, (event.data as Readonly<Record<string, unknown>>)[source])
    },
  }
}

function heldOf(eventType: string, source: string | typeof ownId): string {
  return source === ownId ? `the id of ${eventType}` : `the field ${source} of ${eventType}`
}
