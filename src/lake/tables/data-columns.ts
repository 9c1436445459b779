import type { EventType } from '../../events/event.ts'
import type { ScoreForm } from '../../scoring/score-form.ts'
import { envelopeColumns } from './event-table.ts'
import { ownId, type DataColumn, type FieldColumn } from './lake-schema.ts'
import { fieldForm, shapeOfEvent, type FieldForm, type FieldKind } from '../../events/field-form.ts'
import { columnTypes } from './field-kind.ts'
import { scoreEnvelopeColumns } from './score-table.ts'
import { materializedAtColumn } from './table.ts'

export interface DataColumnsOptions {
  readonly types: readonly EventType[]
  /** Of the scored types. */
  readonly forms: readonly ScoreForm[]
  /** The column with the id of the key entity. */
  readonly owner: string
}

export interface DataColumns {
  readonly data: readonly DataColumn[]
  readonly fields: ReadonlyMap<string, FieldColumn>
}

/** Says which kind of report a label is. */
const labelKind = 'label_kind'

/** Names of columns that only views have. */
const ofViews = [
  ...['label_id', 'is_report', labelKind, 'reported_time', 'reported_time_ms', 'counts', 'outcome', 'label'],
  ...['table_name', 'first_offset', 'last_offset', 'observed_id', 'observed_type'],
]

/**
 * One typed column for each field of any event type, in the order in which the types name them. Scored and other events
 * share the column of a field; the id of a scored event shares one with the fields that name it.
 */
export function dataColumns({ types, forms, owner }: DataColumnsOptions): DataColumns {
  const columns = new Columns()
  const labelKinds = new Set(types.flatMap(({ label }) => label?.kindField ?? []))
  for (const type of types) {
    for (const [field, schema] of Object.entries(shapeOfEvent(type))) {
      const isKind = labelKinds.has(field)
      if (isKind && type.label?.kindField !== field) {
        throw new Error(
          `event type "${type.type}": its field ${field} would be the column ${labelKind}, where labels say their kind`,
        )
      }
      columns.add(type.type, field, fieldForm(schema), isKind ? labelKind : nameOf(field))
    }
    for (const { eventType, idField } of forms) {
      if (type.type === eventType) columns.fill(nameOf(idField), type.type, ownId)
    }
  }
  for (const { type, aggregateField } of types) columns.fill(owner, type, aggregateField)
  columns.require(labelKind)
  for (const form of forms) checkScoredNames(form, types)
  return { data: columns.data(), fields: columns.fields }
}

const reserved: ReadonlySet<string> = new Set([
  ...[...envelopeColumns, ...scoreEnvelopeColumns, materializedAtColumn].map(({ name }) => name),
  ...ofViews,
])

/** `homeCountry` is `home_country`; what the tables and views call otherwise begins with `data_`. */
export function nameOf(field: string): string {
  const name = field
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
  return reserved.has(name) ? `data_${name}` : name
}

interface Filled {
  readonly kind: FieldKind
  /** The event type that first named the column. */
  readonly says: string
  readonly sources: Map<string, string | typeof ownId>
}

class Columns {
  readonly fields = new Map<string, FieldColumn>()
  readonly #columns = new Map<string, Filled>()

  add(type: string, field: string, { kind, isOptional, isNullable }: FieldForm, name: string): void {
    const column = this.#columns.get(name)
    const before = this.fields.get(field)
    if (column !== undefined && column.kind !== kind) {
      throw new Error(
        `the field ${field} is ${kind} in ${type} and ${column.kind} in ${column.says}: one column has one type`,
      )
    }
    if (column !== undefined && before === undefined && name !== labelKind) {
      const other = [...this.fields.values()].find((one) => one.name === name)
      if (other !== undefined) {
        throw new Error(
          `the fields ${field} of ${type} and ${other.field} of ${column.says} would both be the column ${name}`,
        )
      }
    }
    this.fields.set(field, {
      ...{ field, name, kind, type: columnTypes[kind] },
      isOptional: isOptional || before?.isOptional === true,
      isNullable: isNullable || before?.isNullable === true,
    })
    this.fill(name, type, field, kind)
  }

  /** Throws when another field of that type fills the column already. */
  fill(name: string, type: string, source: string | typeof ownId, kind: FieldKind = 'text'): void {
    const column = this.#columns.get(name) ?? { kind, says: type, sources: new Map<string, string | typeof ownId>() }
    this.#columns.set(name, column)
    const other = column.sources.get(type)
    if (column.kind !== kind) throw new Error(`the column ${name} is ${column.kind} in ${column.says}, and holds ids`)
    if (other !== undefined && other !== source) {
      const what = source === ownId ? 'the id of the event' : source
      throw new Error(`event type "${type}": the column ${name} would hold both ${String(other)} and ${what}`)
    }
    column.sources.set(type, source)
  }

  require(name: string): void {
    if (!this.#columns.has(name)) this.#columns.set(name, { kind: 'text', says: '', sources: new Map() })
  }

  data(): DataColumn[] {
    return [...this.#columns].map(([name, { kind, sources }]) => ({ name, kind, type: columnTypes[kind], sources }))
  }
}

/** Refuses a field of the event whose column has the name of the score's time: a row of scores may have both. */
function checkScoredNames(form: ScoreForm, types: readonly EventType[]): void {
  const timeMs = nameOf(form.timeField)
  const taken = [timeMs, timeMs.replace(/_ms$/, '')]
  const scored = types.find(({ type }) => type === form.eventType)
  const fields = scored === undefined ? [] : Object.keys(shapeOfEvent(scored))
  const twice = fields.find((field) => taken.includes(nameOf(field)))
  if (twice === undefined) return
  throw new Error(`event type "${form.eventType}": ${nameOf(twice)} would hold both ${twice} and the time of its score`)
}
