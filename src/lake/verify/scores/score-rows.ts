import { identifier, literal } from '../../../base/sql.ts'
import type { LakeSchema } from '../../tables/lake-schema.ts'
import { byScoredType } from '../../tables/scored-sql.ts'
import { numbersIn, type LakeColumn, type LakeQuery, type LakeRow } from '../lake-query.ts'
import { examplesMax, shown, type Shown, type Tally, type Violation } from '../report.ts'

export interface RowsInput {
  readonly query: LakeQuery
  readonly schema: LakeSchema
  readonly tally: Tally
  readonly onProgress: (rows: number) => void
}

/** The rows whose vectors to read: `from` is SQL from FROM on, `features` a model's inputs, none of them null. */
export interface VectorRows {
  readonly from: string
  readonly features: readonly string[]
}

export interface VectorChunk {
  readonly rows: number
  /** `rows` × inputs. */
  readonly vectors: Float32Array
  /** The inputs, unrounded, by input and row. */
  readonly inputs: readonly Float64Array[]
  /** The further columns, by column and row. */
  readonly others: readonly LakeColumn[]
  /** Reports a row that differs from its recomputation. */
  wrong(row: number, logged: Shown, recomputed: Shown): void
}

interface WrongRow {
  readonly partition: number
  readonly offset: number
  readonly logged: Shown
  readonly recomputed: Shown
}

/**
 * Passes vectors to code outside of the database, a chunk of rows at a time. `others`: further columns as SQL, DOUBLE
 * or VARCHAR. What `take` reports as wrong is a mismatch of `name`, computed by `definition`.
 */
export async function eachVector(
  { query, schema, tally }: RowsInput,
  { from, features }: VectorRows,
  others: readonly string[],
  what: { readonly name: string; readonly definition: string },
  take: (chunk: VectorChunk) => void | Promise<void>,
): Promise<void> {
  const wrong: WrongRow[] = []
  let wrongTotal = 0
  const columns = ['log_partition::DOUBLE', 'log_offset::DOUBLE', ...others, ...features.map(doubleSql)]
  await query.columns(`SELECT ${columns.join(', ')} ${from}`, async (found, rows) => {
    const [partitions, offsets] = found.slice(0, 2).map(numbersIn)
    const inputs = found.slice(2 + others.length).map(numbersIn)
    await take({
      rows,
      inputs,
      others: found.slice(2, 2 + others.length),
      vectors: vectorsOf(inputs, rows),
      wrong(row, logged, recomputed) {
        wrongTotal += 1
        if (wrong.length >= examplesMax) return
        wrong.push({ partition: partitions?.[row] ?? 0, offset: offsets?.[row] ?? 0, logged, recomputed })
      },
    })
  })
  if (wrongTotal === 0) return
  const examples: Violation['fields'][] = []
  for (const { partition, offset, ...values } of wrong) {
    const [row] = await query.rows(
      `SELECT ${placeSql(schema)} FROM score_rows WHERE log_partition = ${partition} AND log_offset = ${offset}`,
    )
    examples.push({ ...placeOf(schema, row ?? {}), feature: what.name, ...values, definition: what.definition })
  }
  tally.mismatches(what.name, wrongTotal, examples)
}

function doubleSql(feature: string): string {
  return `${identifier(feature)}::DOUBLE`
}

/** float32 is the only rounding on the way to the model. */
function vectorsOf(inputs: readonly Float64Array[], rows: number): Float32Array {
  const vectors = new Float32Array(rows * inputs.length)
  for (const [i, column] of inputs.entries()) {
    for (let row = 0; row < rows; row += 1) vectors[row * inputs.length + i] = column[row] ?? NaN
  }
  return vectors
}

export function scoredBySql(model: { readonly name: string; readonly version: string }): string {
  return `model_name = ${literal(model.name)} AND model_version = ${literal(model.version)}`
}

/** Whether every input of a model has a value. */
export function wholeSql(features: readonly string[]): string {
  return ['true', ...features.map((feature) => `${identifier(feature)} IS NOT NULL`)].join(' AND ')
}

/** Identifies a score: the id of the key entity, its sequence number, the scored event. */
export function placeSql(schema: LakeSchema): string {
  const cause = byScoredType(schema, ({ id }) => identifier(id))
  return `${identifier(schema.owner)} AS id, ${identifier(`${schema.key.name}_sequence`)} AS sequence, ${cause} AS cause`
}

export function placeOf({ key }: LakeSchema, row: LakeRow): Violation['fields'] {
  return { entity: key.name, id: shown(row['id']), sequence: shown(row['sequence']), cause: shown(row['cause']) }
}
