import { identifier, literal } from '../../src/base/sql.ts'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { RiverbankError } from '../../src/base/errors.ts'
import { dayMs } from '../../src/base/units.ts'
import { openQuery, type Query } from '../../src/edges/duckdb/query.ts'
import { onlyFromWhole } from '../../src/lake/commit/damage.ts'
import { openLake } from '../../src/lake/commit/lake.ts'
import type { LakeSchema, ScoredColumns } from '../../src/lake/tables/lake-schema.ts'
import { isOfType } from '../../src/lake/tables/scored-sql.ts'
import { catalogOf } from '../../src/lake/tables/sql-catalog.ts'

/** Whole days since the epoch (UTC), `to` left out. */
export interface DayRange {
  readonly from: number
  readonly to: number
}

export interface TrainingTable {
  readonly rows: number
  /** The day of the lake's first scored event, in days since the epoch: `tx_day` counts from it. */
  readonly firstDay: number
}

export interface TrainingTableOptions {
  readonly lakeDir: string
  readonly schema: LakeSchema
  /** The scored type of the model. */
  readonly scored: ScoredColumns
  readonly features: readonly string[]
  /** Days of events to write, without those that the lake lacks. */
  readonly days: DayRange
  /** The days of training, which must be complete. */
  readonly training: DayRange
  /** The start of this day is the deadline of labels: the model learns only from those known by then. */
  readonly knownByDay: number
  readonly path: string
}

/**
 * Writes the rows of the training set of a scored type as one Parquet file for train.py: event_id, entity_id, time_ms,
 * tx_day, label (1 where a report of fraud is in the lake), known_ms (when it was reported, null without a report) and
 * one DOUBLE per feature, as they were when the event was scored. Errors: `training_empty`, `training_gap`,
 * `training_no_labels`, `training_no_fraud`, `lake_corrupt` and `lake_lost` (a model learns nothing from damaged files,
 * nor from a lake that lacks rows); the file is then not written.
 */
export async function writeTrainingTable(options: TrainingTableOptions): Promise<TrainingTable> {
  const lake = await openLake({ dir: options.lakeDir })
  const snapshot = await lake.snapshot()
  const { setup } = catalogOf(lake, snapshot, options.schema)
  const tempDir = await mkdtemp(join(tmpdir(), 'riverbank-training-'))
  const staged = `${options.path}.new`
  try {
    // Opening reads the metadata of the files, which only whole ones may give.
    const table = await onlyFromWhole(lake, snapshot, async () => {
      const query = await openQuery({ threads: 2, memoryMb: 4_096, tempDir, tempMb: 32_768, setup })
      try {
        return await stageTable(query, staged, options)
      } finally {
        query.close()
      }
    })
    await rename(staged, options.path)
    return table
  } finally {
    await rm(staged, { force: true })
    await rm(tempDir, { recursive: true, force: true })
  }
}

async function stageTable(query: Query, staged: string, options: TrainingTableOptions): Promise<TrainingTable> {
  const firstDay = await checkTraining(query, options)
  const features = options.features.map((feature) => `${identifier(feature)}::DOUBLE AS ${identifier(feature)}`)
  const { schema, scored } = options
  const [id, timeMs] = [identifier(scored.id), identifier(scored.timeMs)]
  const keys = [`${id} AS event_id`, `${identifier(schema.owner)} AS entity_id`, `${timeMs} AS time_ms`]
  const columns = [...keys, `${dayOf(scored)} - ${firstDay} AS tx_day`]
  const labels = ['label', 'reported_time_ms AS known_ms']
  await mkdir(dirname(options.path), { recursive: true })
  await query.run(`COPY (
    SELECT ${[...columns, ...labels, ...features].join(', ')} FROM ${identifier(scored.relations.trainingSet)}
    WHERE ${within(scored, options.days)} ORDER BY ${timeMs}, ${id}
  ) TO ${literal(staged)} (FORMAT parquet, COMPRESSION zstd)`)
  const rows = Number((await query.rows(`SELECT count(*) AS n FROM read_parquet(${literal(staged)})`))[0]?.['n'])
  return { rows, firstDay }
}

function dayOf({ timeMs }: ScoredColumns): string {
  return `${identifier(timeMs)} // ${dayMs}`
}

function within(scored: ScoredColumns, { from, to }: DayRange): string {
  const timeMs = identifier(scored.timeMs)
  return `${timeMs} >= ${from * dayMs} AND ${timeMs} < ${to * dayMs}`
}

/** Checks that the lake has enough to learn from. Answers its first day. */
async function checkTraining(
  query: Query,
  { schema, scored, training, knownByDay }: TrainingTableOptions,
): Promise<number> {
  const day = dayOf(scored)
  const { plural, relations } = scored
  const [whole] = await query.rows(`SELECT min(${day}) AS first, max(${day}) AS last FROM ${identifier(plural)}`)
  if (whole?.['first'] === undefined || whole['first'] === null) {
    throw new RiverbankError('training_empty', `the lake has no ${plural}`)
  }
  const [firstDay, lastDay] = [Number(whole['first']), Number(whole['last'])]
  const held = `the lake has ${plural} of ${dateOf(firstDay)} to ${dateOf(lastDay)}`
  const found = await query.rows(
    `SELECT DISTINCT ${day} AS day FROM scores WHERE ${isOfType(schema, scored)} AND ${within(scored, training)}`,
  )
  if (found.length === 0) {
    throw new RiverbankError('training_empty', `no scored ${plural} from ${span(training)}; ${held}`)
  }
  const days = new Set(found.map((row) => Number(row['day'])))
  for (let wanted = training.from; wanted < training.to; wanted += 1) {
    if (days.has(wanted)) continue
    throw new RiverbankError(
      'training_gap',
      `no scored ${plural} on ${dateOf(wanted)}, inside ${span(training)}; ${held}`,
    )
  }
  const known = `reported_time_ms < ${knownByDay * dayMs}`
  const [labels] =
    await query.rows(`SELECT count(*) AS all_known, count(*) FILTER (${within(scored, training)}) AS learned
    FROM ${identifier(relations.labels)} WHERE ${known}`)
  const until = `before ${dateOf(knownByDay)}`
  if (Number(labels?.['all_known']) === 0) {
    throw new RiverbankError('training_no_labels', `nothing was reported ${until}: there is nothing to learn from`)
  }
  if (Number(labels?.['learned']) === 0) {
    throw new RiverbankError('training_no_fraud', `none of the ${plural} from ${span(training)} was reported ${until}`)
  }
  return firstDay
}

export function dateOf(days: number): string {
  return new Date(days * dayMs).toISOString().slice(0, 10)
}

function span({ from, to }: DayRange): string {
  return `${dateOf(from)} to ${dateOf(to - 1)}`
}
