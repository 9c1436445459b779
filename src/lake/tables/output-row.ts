import type { CloudEvent } from '../../events/envelope.ts'
import type { EventObserved, ScoreData } from '../../scoring/output-events.ts'
import type { RecordFaultCode } from '../../events/codec/record-parts.ts'
import type { LogRecord } from '../../ports/log.ts'

/** A record of the score topic, read as the output event that it is. */
export interface OutputEvent<Data> {
  readonly record: LogRecord
  readonly envelope: CloudEvent
  readonly data: Data
  /** What the record names and this feature set does not, as JSON: rows of another feature set lose nothing. */
  readonly unmapped: string | null
}

export type ScoreRow = OutputEvent<ScoreData>
export type ObservationRow = OutputEvent<EventObserved>

/** A record of the score topic that is no output event of ours, and why. */
export interface UnreadableRow {
  readonly record: LogRecord
  readonly eventType: string | null
  readonly errorCode:
    'undecodable_bytes' | 'invalid_json' | 'invalid_envelope' | 'invalid_data' | 'unknown_event_type' | RecordFaultCode
  readonly detail: string
}

export type OutputRow =
  | { readonly kind: 'score'; readonly row: ScoreRow }
  | { readonly kind: 'observation'; readonly row: ObservationRow }
  | { readonly kind: 'unreadable'; readonly row: UnreadableRow }
