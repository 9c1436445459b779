import { isBinaryMode, kafkaBinding, readBinaryEvent } from './binary-event.ts'
import { historyHeader, type EventDoor } from '../event-time.ts'
import type { EventCatalog } from '../event.ts'
import { decodeEvent, parseEvent, type EventResult } from '../decode-event.ts'

/** The parts of a log's record that make an event. */
export interface EventRecord {
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  /** By the log's clock. */
  readonly appendTimeMs: number
}

/** Whether the record's value is the data of its event alone. */
export function isBinaryRecord({ headers }: Pick<EventRecord, 'headers'>): boolean {
  return isBinaryMode(headers, kafkaBinding)
}

/**
 * Reads the event of a record. Every role that reads the topic of events reads it here, so that all of them see the
 * same event, or the same fault, whenever they read. Total.
 */
export function readRecordEvent(record: EventRecord, catalog: EventCatalog): EventResult {
  const { value, headers, appendTimeMs } = record
  const door = doorOf(headers[historyHeader])
  if (!isBinaryRecord(record)) return decodeEvent(value, catalog, appendTimeMs, door)
  const binary = readBinaryEvent(headers, value, kafkaBinding)
  return binary.kind === 'read' ? parseEvent(binary.json, catalog, appendTimeMs, door) : binary
}

const usualDoor: EventDoor = {}

function doorOf(historyFrom: string | undefined): EventDoor {
  return historyFrom === undefined ? usualDoor : { historyFrom }
}
