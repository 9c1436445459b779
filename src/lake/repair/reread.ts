import type { Clock } from '../../ports/clock.ts'
import type { LogRecord } from '../../ports/log.ts'
import type { TableWriter } from '../../ports/tables.ts'
import type { FileEntry, LostRange, TableSchema } from '../commit/commit.ts'
import { schemaOf } from '../materialize/flush.ts'
import type { Lake } from '../commit/lake.ts'
import type { PlacedRow } from '../materialize/partition-buffer.ts'
import { discardFiles, writeFiles } from '../files/table-files.ts'
import { TableBuffer, type TableName } from '../tables/table.ts'
import { readLogRange, type RangeLog } from './log-range.ts'

export interface RereadOptions {
  readonly lake: Lake
  readonly log: RangeLog
  readonly writer: TableWriter
  readonly place: (record: LogRecord) => PlacedRow
  readonly clock: Clock
  /** Rows of one table that are written at once: bounds the memory. */
  readonly rowsPerFile: number
}

export type Reread =
  | { readonly kind: 'written'; readonly added: readonly FileEntry[]; readonly schemas: readonly TableSchema[] }
  /** The log no longer holds what the file held: it was made anew, or its records moved. */
  | { readonly kind: 'differs'; readonly why: string }

/** Selects rows of the range: those of one table whose offset the lake lacks. */
interface Wanted {
  readonly table: TableName | null
  readonly held: ReadonlySet<number>
}

/** Writes files with the same rows as this one, from the log; nobody reads them until they are committed. */
export async function rereadFile(options: RereadOptions, file: FileEntry): Promise<Reread> {
  const read = await rereadRange(options, file, { table: file.table, held: new Set() })
  const why = differenceOf(file, read.added)
  if (why === null) return { kind: 'written', ...read }
  await discardFiles(options.lake.dir, read.added)
  return { kind: 'differs', why }
}

/** Writes what the log has in a range and the lake lacks, in files of at most so many rows. */
export async function rereadRange(
  options: RereadOptions,
  range: Pick<LostRange, 'topic' | 'partition' | 'firstOffset' | 'lastOffset'>,
  wanted: Wanted,
): Promise<{ readonly added: readonly FileEntry[]; readonly schemas: readonly TableSchema[] }> {
  const rows = new RereadRows(options, range)
  await readLogRange(options.log, range, async (records) => {
    for (const record of records) {
      if (wanted.held.has(record.offset)) continue
      const placed = options.place(record)
      if (wanted.table === null || placed.spec.table === wanted.table) await rows.add(record, placed)
    }
  })
  return rows.finish()
}

function differenceOf(file: FileEntry, added: readonly FileEntry[]): string | null {
  const rows = added.reduce((sum, one) => sum + one.rows, 0)
  if (rows !== file.rows) return `the log has ${rows} rows there, the file had ${file.rows}`
  const [first, last] = [added[0], added.at(-1)]
  if (first?.firstOffset !== file.firstOffset || last?.lastOffset !== file.lastOffset) return 'the offsets are others'
  const day = (path: string) => path.split('/')[1]
  if (added.some(({ path }) => day(path) !== day(file.path))) return 'the records are of another day'
  const edge = (pick: (values: number[]) => number, of: (entry: FileEntry) => number | null) => {
    const values = added.flatMap((entry) => of(entry) ?? [])
    return values.length === 0 ? null : pick(values)
  }
  const min = edge(
    (values) => Math.min(...values),
    (entry) => entry.minEventTimeMs,
  )
  const max = edge(
    (values) => Math.max(...values),
    (entry) => entry.maxEventTimeMs,
  )
  return min === file.minEventTimeMs && max === file.maxEventTimeMs ? null : 'the times of the events are others'
}

interface Part {
  readonly buffer: TableBuffer<never>
  readonly date: string
  readonly firstOffset: number
  lastOffset: number
}

/** Rows on their way into files: one part for each table and day. */
class RereadRows {
  private readonly options: RereadOptions
  private readonly at: Pick<LostRange, 'topic' | 'partition'>
  private readonly parts = new Map<string, Part>()
  private readonly added: FileEntry[] = []
  private readonly schemas = new Map<string, TableSchema>()

  constructor(options: RereadOptions, { topic, partition }: Pick<LostRange, 'topic' | 'partition'>) {
    this.options = options
    this.at = { topic, partition }
  }

  async add(record: LogRecord, { spec, row }: PlacedRow): Promise<void> {
    const date = new Date(record.appendTimeMs).toISOString().slice(0, 10)
    const key = `${spec.table} ${date}`
    const part = this.parts.get(key) ?? {
      buffer: new TableBuffer(spec),
      date,
      firstOffset: record.offset,
      lastOffset: record.offset,
    }
    this.parts.set(key, part)
    // A row is placed together with the spec of its table, which is that of this buffer.
    part.buffer.push(row as never)
    part.lastOffset = record.offset
    if (part.buffer.rows < this.options.rowsPerFile) return
    this.parts.delete(key)
    await this.write([part])
  }

  async finish() {
    await this.write([...this.parts.values()])
    const byOffset = this.added.toSorted((a, b) => a.firstOffset - b.firstOffset)
    return { added: byOffset, schemas: [...this.schemas.values()] }
  }

  private async write(parts: readonly Part[]): Promise<void> {
    const { lake, writer, clock } = this.options
    for (const { buffer } of parts) this.schemas.set(buffer.spec.schemaId, schemaOf(buffer.spec))
    const whole = parts.map((part) => ({ ...part, ...this.at }))
    this.added.push(...(await writeFiles(whole, { dir: lake.dir, writer, materializedAtMs: clock.nowMs() })))
  }
}
