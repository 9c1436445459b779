import { placeOf, type WaitingRecords } from './waiting-records.ts'
import type { Verdict } from '../../engine/observe.ts'
import { valueOf } from '../tables/field-kind.ts'
import type { FieldColumn } from '../tables/data-columns.ts'
import type { EntityBinding } from '../../engine/plan.ts'
import { numbersIn, textsIn, type LakeColumn } from '../verify/lake-query.ts'

/** The number of a duplicate, and of an event that was applied and not published. */
export const untold = -1
/** The number of an event above everything that was answered: a batch that was under way may have applied it. */
export const beyond = -2
/** One event as one entity met it. */
export interface HistoryRow {
  readonly id: string
  /** {@link untold} where the lake does not tell, {@link beyond} where it was perhaps not even handled. */
  readonly sequence: number
  readonly incarnation: number
  readonly partition: number
  readonly offset: number
  readonly appendTimeMs: number
  readonly timeMs: number
  readonly eventTimeMs: number
  /** Empty unless the entity is the partition key. */
  readonly eventId: string
  readonly verdict: Verdict
  readonly isScored: boolean
  /** What the plan does with it. */
  readonly binding: EntityBinding
  /** Valid until the next row: the fields that the entity's slots look at. */
  readonly data: Readonly<Record<string, unknown>>
  /** Of a label that perhaps waits for its subject: its record as text, see `events/codec/resent-record.ts`. */
  readonly record: string | null
  /** See `LakeHistory.ask`; empty where nobody asked. */
  readonly asked: string
}

/** Of an event that the plan does not know. */
export const nothing: EntityBinding = { eventType: '', updates: [], subject: null, label: null }
/** What a row of the database says of an event, by number. */
export const verdicts: readonly Verdict[] = [null, 'duplicate', 'unknown_subject', 'contradicts_subject']

/** As the event said it. What was left out is undefined, what was null is null, where its schemas tell the two apart. */
function readField({ kind, isOptional, isNullable }: FieldColumn, cell: string | number | null | undefined): unknown {
  const value = typeof cell === 'number' && Number.isNaN(cell) ? undefined : valueOf(kind, cell)
  return value === undefined && isNullable && !isOptional ? null : value
}

interface Meaning {
  readonly bindings: readonly EntityBinding[]
  /** Numbers of types. */
  readonly scored: ReadonlySet<number>
  readonly fields: readonly FieldColumn[]
  readonly waiting: WaitingRecords
}

export function* rowsOf(
  columns: readonly LakeColumn[],
  rows: number,
  { bindings, scored, fields, waiting }: Meaning,
): Iterable<HistoryRow> {
  const numbers = (column: number) => {
    const found = numbersIn(columns[column])
    return (row: number) => found[row] ?? NaN
  }
  const texts = (column: number) => {
    const found = textsIn(columns[column])
    return (row: number) => found[row] ?? ''
  }
  const [id, sequence, incarnation, verdict] = [texts(0), numbers(1), numbers(2), numbers(3)]
  const [partition, offset, appended] = [numbers(4), numbers(5), numbers(6)]
  const [observed, eventTime, typeOf, eventId] = [numbers(7), numbers(8), numbers(9), texts(10)]
  const asked = columns.length > fieldsFrom + fields.length ? texts(fieldsFrom + fields.length) : () => ''
  const data: Record<string, unknown> = {}
  for (let row = 0; row < rows; row += 1) {
    for (const [i, column] of fields.entries()) data[column.field] = readField(column, columns[fieldsFrom + i]?.[row])
    const type = typeOf(row)
    yield {
      id: id(row),
      sequence: sequence(row),
      incarnation: incarnation(row),
      partition: partition(row),
      offset: offset(row),
      appendTimeMs: appended(row),
      timeMs: observed(row),
      eventTimeMs: eventTime(row),
      eventId: eventId(row),
      verdict: verdicts[verdict(row)] ?? null,
      isScored: scored.has(type),
      binding: bindings[type] ?? nothing,
      data,
      record: waiting.get(placeOf(partition(row), offset(row))) ?? null,
      asked: asked(row),
    }
  }
}

/** The number of the first column with a field: those before it say what the event was to the entity. */
const fieldsFrom = 11
