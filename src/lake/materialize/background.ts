import { identifier } from '../../base/sql.ts'
import type { LakeSchema, ScoredColumns } from '../tables/lake-schema.ts'
import { isOfType } from '../tables/scored-sql.ts'

/** A sample of scored events, as the vectors that a model takes. */
export interface SampledBackground {
  /** `rows` × features, row-major. */
  readonly vectors: Float32Array
  readonly rows: number
  readonly fromMs: number
  readonly toMs: number
}

interface Query {
  each(sql: string, take: (rows: readonly (readonly unknown[])[]) => void): Promise<void>
}

export interface SampleOptions {
  readonly schema: Pick<LakeSchema, 'scored'>
  /** The scored type of these events. */
  readonly scored: ScoredColumns
  readonly features: readonly string[]
  readonly rowsMax: number
  /** Only events that the log took in its newest so many milliseconds, whatever their own time. */
  readonly spanMs: number
}

/**
 * Samples events scored in the newest days, each as likely as any other; the same events give the same sample. Leaves
 * out events that lack a feature: another feature set scored them. Null where none is left.
 */
export async function sampleBackground(
  query: Query,
  { schema, scored, features, rowsMax, spanMs }: SampleOptions,
): Promise<SampledBackground | null> {
  const columns = features.map(identifier)
  const [id, timeMs] = [identifier(scored.id), identifier(scored.timeMs)]
  const whole = columns.map((column) => `isfinite(${column}::DOUBLE)`).join(' AND ')
  const isOurs = isOfType(schema, scored)
  const newest = `(SELECT max(append_time_ms) FROM scores WHERE ${isOurs})`
  const from = `FROM scores WHERE ${isOurs} AND append_time_ms > ${newest} - ${spanMs} AND ${whole}`
  const order = `ORDER BY md5(${id}), ${id}, log_partition, log_offset LIMIT ${rowsMax}`
  const values: number[] = []
  let [rows, fromMs, toMs] = [0, Infinity, -Infinity]
  const select = `SELECT ${timeMs}, ${columns.map((column) => `${column}::DOUBLE`).join(', ')} ${from} ${order}`
  await query.each(select, (found) => {
    for (const [time, ...vector] of found) {
      rows += 1
      fromMs = Math.min(fromMs, Number(time))
      toMs = Math.max(toMs, Number(time))
      for (const value of vector) values.push(Number(value))
    }
  })
  return rows === 0 ? null : { vectors: Float32Array.from(values), rows, fromMs, toMs }
}
