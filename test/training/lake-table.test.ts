import { literal } from '../../src/base/sql.ts'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeTrainingTable, type TrainingTableOptions } from '../../scripts/training/lake-table.ts'
import { dayMs } from '../../src/base/units.ts'
import { openQuery } from '../../src/edges/duckdb/query.ts'
import { openLake, type Lake } from '../../src/lake/commit/lake.ts'
import { flipBit } from '../lake/support/damage.ts'
import {
  batchOf,
  claimOf,
  day,
  fraud,
  observed,
  schema,
  materializer,
  payment,
  ofPayments,
  record,
  score,
  topics,
} from '../lake/support/feed.ts'

const firstDay = day / dayMs
const at = (days: number) => day + days * dayMs + 3_600_000

describe('the training table of a lake', () => {
  let dir: string
  let lake: Lake
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'riverbank-training-table-'))
    lake = await openLake({ dir: join(dir, 'lake') })
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  /** One payment a day on these days, scored, and reports of fraud by payment: the day on which each was reported. */
  async function fill(days: readonly number[], reports: Readonly<Record<string, number>> = {}): Promise<void> {
    const paid = days.map((n) => payment(`p${n}`, at(n)))
    const reported = Object.entries(reports).map(([id, n]) => fraud(`f-${id}`, id, at(n), at(Number(id.slice(1)))))
    const scores = days.map((n, i) =>
      score(`p${n}:scored`, `p${n}`, at(n), `{"spend__count_7d":${n},"spend__mean_7d":0.5}`, i),
    )
    for (const [topic, values] of [
      [topics.events, [...paid, ...reported]],
      [topics.scores, [...scores, ...reported.map((_, i) => observed(`o${i}`, `f${i}`, paid.length + i))]],
    ] as const) {
      const writer = await materializer(lake)
      const assignment = claimOf(topic, 0)
      await writer.assigned(assignment)
      await writer.batch(
        assignment,
        batchOf(values.map((value, offset) => record(topic, offset, value, { appendTimeMs: at(30) }))),
      )
      await writer.stop()
    }
  }

  const options = (change: Partial<TrainingTableOptions> = {}): TrainingTableOptions => ({
    lakeDir: lake.dir,
    schema,
    scored: ofPayments,
    features: ['spend__count_7d', 'spend__mean_7d'],
    days: { from: firstDay, to: firstDay + 10 },
    training: { from: firstDay + 1, to: firstDay + 4 },
    knownByDay: firstDay + 6,
    path: join(dir, 'table.parquet'),
    ...change,
  })

  it('has the payments of the days with their features, labels, and when these became known', async () => {
    await fill([0, 1, 2, 3, 8, 12], { p2: 5, p8: 11 })
    expect(await writeTrainingTable(options())).toEqual({ rows: 5, firstDay })
    const query = await openQuery({ threads: 1, memoryMb: 256, tempDir: dir, tempMb: 0, setup: [] })
    const rows = await query.rows(`SELECT * FROM read_parquet(${literal(join(dir, 'table.parquet'))})`)
    query.close()
    expect(
      rows.map((row) => [row['event_id'], row['tx_day'], row['label'], row['known_ms'], row['spend__count_7d']]),
    ).toEqual([
      ['p0', 0, 0, null, 0],
      ['p1', 1, 0, null, 1],
      ['p2', 2, 1, at(5), 2],
      ['p3', 3, 0, null, 3],
      ['p8', 8, 1, at(11), 8],
    ])
    expect(rows[0]).toMatchObject({
      entity_id: 'c1',
      time_ms: at(0),
      spend__mean_7d: 0.5,
    })
  })

  it.each([
    ['nothing at all', [], {}, 'training_empty'],
    ['no payment in the window', [0, 7, 8], {}, 'training_empty'],
    ['a day missing in the window', [0, 1, 3, 4], { p1: 2 }, 'training_gap'],
    ['no label', [0, 1, 2, 3], {}, 'training_no_labels'],
    ['labels that came too late', [0, 1, 2, 3], { p2: 6 }, 'training_no_labels'],
    ['frauds outside the window only', [0, 1, 2, 3], { p0: 2 }, 'training_no_fraud'],
  ])('refuses %s, and writes nothing', async (_what, days, reports, code) => {
    if (days.length > 0) await fill(days, reports)
    await expect(writeTrainingTable(options())).rejects.toMatchObject({ code })
    expect(existsSync(join(dir, 'table.parquet'))).toBe(false)
  })

  it('is not made of a lake that lacks rows which were declared lost; rows that nobody can read are none', async () => {
    await fill([0, 1, 2, 3], { p2: 5 })
    const own = options({ days: { from: firstDay, to: firstDay + 4 } })
    const range = { topic: topics.events, partition: 0, firstOffset: 90, lastOffset: 91, rows: 2 }
    await lake.log.commit({ lost: [{ ...range, table: 'unreadable' }] })
    expect(await writeTrainingTable(own)).toMatchObject({ rows: 4 })
    rmSync(join(dir, 'table.parquet'))
    await lake.log.commit({ lost: [{ ...range, table: 'events' }] })
    await expect(writeTrainingTable(own)).rejects.toMatchObject({
      code: 'lake_lost',
      message: expect.stringContaining(`${topics.events} partition 0 offsets 90 to 91`) as string,
    })
    expect(existsSync(join(dir, 'table.parquet'))).toBe(false)
  })

  it('is not made of a file with a flipped bit, which is named', async () => {
    await fill([0, 1, 2, 3], { p2: 5 })
    const [damaged] = (await lake.snapshot()).files.filter(({ table }) => table === 'scores')
    if (damaged === undefined) throw new Error('there are scores')
    flipBit(lake.pathOf(damaged))
    const made = writeTrainingTable(options({ days: { from: firstDay, to: firstDay + 4 } }))
    await expect(made).rejects.toThrow(`${damaged.path} (wrong_checksum)`)
    expect(readdirSync(dir).filter((name) => name.startsWith('table'))).toEqual([])
  })
})
