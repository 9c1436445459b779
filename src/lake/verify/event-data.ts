import { decodeEvent, type EventCatalog } from '../../core/event.ts'
import { identifier, text, type LakeCell } from './lake-query.ts'
import type { Topics } from './frontier.ts'
import { eventColumns } from './working-tables.ts'

export type EventData = Readonly<Record<string, unknown>>

/** How a query over `applied AS a` gets at the fields that definitions look at. */
export interface EventDataSource {
  /** Further columns to select, and joins they need. */
  readonly columns: readonly string[]
  readonly joins: string
  /** `cells`: the values of `columns`. */
  read(cells: readonly LakeCell[]): EventData
}

const encoder = new TextEncoder()

/** Fields with a column of their own come from there; if there is one without, all come from the event's text. */
export function eventDataSource(fields: readonly string[], catalog: EventCatalog, topics: Topics): EventDataSource {
  if (fields.every((field) => Object.hasOwn(eventColumns, field))) {
    return {
      columns: fields.map((field) => `a.${identifier(`cause_${eventColumns[field] ?? ''}`)}`),
      joins: '',
      read: (cells) => Object.fromEntries(fields.map((field, i) => [field, cells[i]])),
    }
  }
  return {
    columns: ['e.body', 'a.append_time_ms'],
    joins: `LEFT JOIN events e ON e.log_topic = ${text(topics.events)} AND e.log_partition = a.source_partition
      AND e.log_offset = a.source_offset`,
    read([body, appendTimeMs]) {
      const result = decodeEvent(encoder.encode(String(body)), catalog, Number(appendTimeMs))
      return result.kind === 'valid' ? (result.event.data as EventData) : {}
    },
  }
}
