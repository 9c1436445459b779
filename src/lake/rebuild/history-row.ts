import { placeOf, type WaitingRecords } from './waiting-records.ts'
import type { Verdict } from '../../engine/observation.ts'
import { valueOf } from '../tables/field-kind.ts'
import type { FieldColumn } from '../tables/lake-schema.ts'
import type { EntityBinding } from '../../engine/plan.ts'
import { numbersIn, textsIn, type LakeColumn } from '../verify/lake-query.ts'

/** The number of a duplicate, and of an event that was applied and not published. */
export const unnumbered = -1
/** The number of an event above everything that was answered: a batch that was under way may have applied it. */
export const beyond = -2
/** One event at one entity. */
export interface HistoryRow {
  readonly id: string
  /** {@link unnumbered} where the lake has no number, {@link beyond} where perhaps no processor handled the event. */
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
  /** How the plan updates the entity. */
  readonly binding: EntityBinding
  /** Valid until the next row: the fields that the entity's slots read. */
  readonly data: Readonly<Record<string, unknown>>
  /** For a label that may wait for its subject, its record as text: see `events/codec/resent-record.ts`. */
  readonly record: string | null
  /** The text of `Asked`; empty without one. */
  readonly asked: string
}

/** The binding of an event that the plan does not know. */
export const nothing: EntityBinding = { eventType: '', updates: [], subject: null, label: null }
/** The verdicts, by their number in the database. */
export const verdicts: readonly Verdict[] = [null, 'duplicate', 'unknown_subject', 'contradicts_subject']

/** The field as the event had it: undefined for left out and null for null, where its schemas distinguish the two. */
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

/** The number of the first column with a field; those before it describe the event at the entity. */
const fieldsFrom = 11
