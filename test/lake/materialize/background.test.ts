import { expect, test } from 'vitest'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { sampleBackground } from '../../../src/lake/materialize/background.ts'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { sqlCatalog } from '../../../src/lake/tables/sql-catalog.ts'
import { dayMs } from '../../../src/base/units.ts'
import {
  batchOf,
  claimOf,
  day,
  materializer,
  ofPayments,
  record,
  schema,
  score,
  tempFolder,
  topics,
} from '../support/feed.ts'

const features = ['spend__count_7d', 'spend__mean_7d']
/** One payment a day; the third has no mean. */
const payments = Array.from({ length: 12 }, (_, n) => {
  const values = `{"spend__count_7d":${n},"spend__mean_7d":${n === 2 ? 'null' : n / 2}}`
  return score(`p${n}:scored`, `p${n}`, day + n * dayMs, values, n)
})

test('a background is payments of the newest days with every feature, the same ones each time', async () => {
  const folder = tempFolder()
  try {
    const lake = await openLake({ dir: folder.dir })
    const writer = await materializer(lake)
    const assignment = claimOf(topics.scores, 0)
    await writer.assigned(assignment)
    await writer.batch(
      assignment,
      batchOf(
        payments.map((one, offset) => record(topics.scores, offset, one, { appendTimeMs: day + offset * dayMs })),
      ),
    )
    await writer.stop()
    const { setup } = await sqlCatalog(lake, schema)
    const query = await openQuery({ threads: 1, memoryMb: 256, tempDir: folder.dir, tempMb: 0, setup })
    const sample = (rowsMax: number, days: number) =>
      sampleBackground(query, { schema, scored: ofPayments, features, rowsMax, spanMs: days * dayMs })
    const all = await sample(100, 30)
    expect(all).toMatchObject({ rows: 11, fromMs: day, toMs: day + 11 * dayMs })
    const counts = (found: typeof all) => [...(found?.vectors ?? [])].filter((_, i) => i % 2 === 0)
    expect(counts(all).sort((a, b) => a - b)).toEqual([0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(all?.vectors.every((value, i, list) => i % 2 === 0 || value === (list[i - 1] ?? NaN) / 2)).toBe(true)
    expect(counts(await sample(100, 4)).sort((a, b) => a - b)).toEqual([8, 9, 10, 11])
    const few = await sample(5, 30)
    expect(few?.rows).toBe(5)
    expect(await sample(5, 30)).toEqual(few)
    // Not the newest ones, nor the oldest.
    expect(counts(few).sort((a, b) => a - b)).not.toEqual([7, 8, 9, 10, 11])
    query.close()
  } finally {
    folder.remove()
  }
})
