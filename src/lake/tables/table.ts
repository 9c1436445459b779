import { createHash } from 'node:crypto'
import type { Column, ColumnData } from '../../ports/tables.ts'

export type Cell = string | number | boolean | Uint8Array | null

/** A column and how a row's source fills it. */
export interface ColumnSpec<Source> extends Column {
  /** What it holds, for the error when two things get one name; left out: a column that every such table has. */
  readonly holds?: string
  readonly read: (source: Source) => Cell
}

export const tableNames = ['events', 'scores', 'observations', 'unreadable'] as const
export type TableName = (typeof tableNames)[number]

/** A table of the lake: its columns, in order, each with its source. */
export interface TableSpec<Source> {
  readonly table: TableName
  readonly columns: readonly ColumnSpec<Source>[]
  readonly roles: ColumnRoles
  readonly schemaId: string
}

export interface ColumnRoles {
  /** The manifest keeps the smallest and the largest value of these columns for each file. */
  readonly eventTimes?: readonly string[]
  /** Of a table in which readers look up rows by id. */
  readonly identity?: IdentityColumns
}

/** The columns that identify a row's event: an event id is unique only within its aggregate. */
export interface IdentityColumns {
  readonly aggregate: string
  readonly id: string
}

/** The writer fills it when it writes the file: the time when the row became visible. */
export const materializedAtColumn: Column = { name: 'materialized_at_ms', type: 'BIGINT' }

export function tableSpec<Source>(
  table: TableName,
  columns: readonly ColumnSpec<Source>[],
  roles: ColumnRoles = {},
): TableSpec<Source> {
  const own = `a column that every table of ${table} has`
  const holders = new Map<string, string>([[materializedAtColumn.name, own]])
  for (const { name, holds = own } of columns) {
    const other = holders.get(name)
    if (other !== undefined) {
      throw new Error(`table ${table}: the column ${name} would hold both ${other} and ${holds}: give one another name`)
    }
    holders.set(name, holds)
  }
  const spec = { table, columns, roles, schemaId: '' }
  return { ...spec, schemaId: schemaIdOf(declaredColumns(spec)) }
}

/** Names and types as they are in a file. */
export function declaredColumns(spec: Pick<TableSpec<never>, 'columns'>): readonly Column[] {
  return [...spec.columns.map(({ name, type }) => ({ name, type })), materializedAtColumn]
}

/** sha256 (hex, 16 characters) of the column list: files of one schema can be read together. */
export function schemaIdOf(columns: readonly Column[]): string {
  const text = JSON.stringify(columns.map(({ name, type }) => [name, type]))
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

const initialRows = 256

/** One column of buffered rows. */
interface Store<Source> {
  readonly column: Column
  readonly values: ColumnData['values']
  push(row: number, source: Source): void
}

/** Numbers unboxed, so that a full buffer stays small. */
class NumberStore<Source> implements Store<Source> {
  readonly column: ColumnSpec<Source>
  values: Float64Array = new Float64Array(initialRows)

  constructor(column: ColumnSpec<Source>) {
    this.column = column
  }

  push(row: number, source: Source): void {
    const cell = this.column.read(source)
    if (row >= this.values.length) this.values = grown(this.values)
    this.values[row] = cell === null ? NaN : Number(cell)
  }
}

class TextStore<Source> implements Store<Source> {
  readonly column: ColumnSpec<Source>
  readonly values: (string | null)[] = []

  constructor(column: ColumnSpec<Source>) {
    this.column = column
  }

  push(row: number, source: Source): void {
    const cell = this.column.read(source)
    this.values[row] = typeof cell === 'string' ? cell : null
  }
}

class BytesStore<Source> implements Store<Source> {
  readonly column: ColumnSpec<Source>
  readonly values: (Uint8Array | null)[] = []

  constructor(column: ColumnSpec<Source>) {
    this.column = column
  }

  push(row: number, source: Source): void {
    const cell = this.column.read(source)
    this.values[row] = cell instanceof Uint8Array ? cell : null
  }
}

function storeOf<Source>(column: ColumnSpec<Source>): Store<Source> {
  if (column.type === 'VARCHAR') return new TextStore(column)
  return column.type === 'BLOB' ? new BytesStore(column) : new NumberStore(column)
}

/** Buffers rows column by column until a file is written. */
export class TableBuffer<Source> {
  readonly spec: TableSpec<Source>
  rows = 0
  private readonly stores: readonly Store<Source>[]

  constructor(spec: TableSpec<Source>) {
    this.spec = spec
    this.stores = spec.columns.map(storeOf)
  }

  push(source: Source): void {
    for (const store of this.stores) store.push(this.rows, source)
    this.rows += 1
  }

  /** The columns of a file. */
  columns(materializedAtMs: number): readonly ColumnData[] {
    const filled = this.stores.map(({ column: { name, type }, values }) => ({ name, type, values }))
    return [...filled, { ...materializedAtColumn, values: new Float64Array(this.rows).fill(materializedAtMs) }]
  }

  /** Smallest and largest event time, null where no row has one. */
  eventTimeRangeMs(): { readonly min: number | null; readonly max: number | null } {
    let min = Infinity
    let max = -Infinity
    for (const store of this.#eventTimes()) {
      for (let row = 0; row < this.rows; row += 1) {
        // A missing value is NaN, neither smaller nor larger.
        const value = store[row] ?? NaN
        if (value < min) min = value
        if (value > max) max = value
      }
    }
    return min === Infinity ? { min: null, max: null } : { min, max }
  }

  #eventTimes(): Float64Array[] {
    const { eventTimes = [] } = this.spec.roles
    const stores = this.stores.filter(({ column }) => eventTimes.includes(column.name))
    return stores.map(({ values }) => values).filter((values) => values instanceof Float64Array)
  }
}

function grown(store: Float64Array): Float64Array {
  const larger = new Float64Array(store.length * 2)
  larger.set(store)
  return larger
}
