import { spawn } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'
import { compact } from '../../../src/lake/materialize/compaction.ts'
import { publishFileList, withFileList } from '../../../src/lake/files/file-list.ts'
import { openLake } from '../../../src/lake/commit/lake.ts'
import { python, pythonAvailable } from '../../support/python.ts'
import { eventually } from '../../support/wait.ts'
import { batchOf, claimOf, day, schema, materializer, record, score, topics, writerOptions } from '../support/feed.ts'
import { folder, lake } from '../support/fresh-lake.ts'
import { range } from '../support/read.ts'

const rowsOfFlush = 50
const scores = (flush: number) =>
  range(flush * rowsOfFlush, (flush + 1) * rowsOfFlush).map((i) =>
    record(topics.scores, i, score(`s${i}`, `p${i}`, day + i, '{}')),
  )
const fail = (error: unknown) => {
  throw error
}
const limits = { minFiles: 2, maxFiles: 100, targetBytes: 1 << 20, retireGraceMs: 600_000 }

/** A materializer whose commits are listed. `write` flushes and `merge` compacts, as the role does side by side. */
async function listing() {
  const listed = withFileList(lake, { schema, onFailure: fail })
  await publishFileList(listed, schema)
  const m = await materializer(listed)
  const assignment = claimOf(topics.scores, 0)
  await m.assigned(assignment)
  return {
    listed,
    async write(flush: number) {
      await m.batch(assignment, batchOf(scores(flush)))
      await m.flush()
    },
    async merge() {
      const writer = await openTableWriter(writerOptions)
      const result = await compact({ ...limits, lake: listed, writer, nowMs: Date.now() })
      await writer.close()
      return result
    },
    stop: () => m.stop(),
  }
}

/** What a shell answers that reads `views.sql` first, somewhere else. */
async function inShell(dir: string, sql: string, before = '') {
  const setup = [before, readFileSync(join(dir, 'views.sql'), 'utf8')].filter((text) => text !== '')
  const query = await openQuery({ threads: 1, memoryMb: 256, tempDir: dir, tempMb: 0, setup })
  try {
    return await query.rows(sql)
  } finally {
    query.close()
  }
}

describe('the list of the committed files', () => {
  test('counts every row once after a compaction, where a glob counts retired files too', async () => {
    const { write, merge, listed, stop } = await listing()
    for (const flush of range(0, 4)) await write(flush)
    expect(await merge()).toMatchObject({ merged: 4, written: 1 })
    await listed.listed()
    const glob = `(SELECT count(*) FROM '${folder.dir}/scores/**/*.parquet') AS by_glob`
    const counted = await inShell(folder.dir, `SELECT count(*) AS rows, ${glob} FROM scores`)
    expect(counted).toEqual([{ rows: 200, by_glob: 400 }])
    // The relations of `riverbank sql`, and its table function.
    expect(await inShell(folder.dir, 'SELECT count(*) AS n FROM training_set')).toEqual([{ n: 200 }])
    await inShell(
      folder.dir,
      "SELECT * FROM training_set_as_of(TIMESTAMP '2030-01-01'), payments, labels, events LIMIT 1",
    )
    await stop()
  })

  test('follows a lake that was copied elsewhere, under the name that the shell gives it', async () => {
    const { write, listed, stop } = await listing()
    await write(0)
    await listed.listed()
    await stop()
    const copy = `${folder.dir}'s copy`
    cpSync(folder.dir, copy, { recursive: true })
    rmSync(join(folder.dir, 'scores'), { recursive: true })
    await expect(inShell(copy, 'SELECT count(*) FROM scores')).rejects.toThrow('No files found')
    const moved = `SET VARIABLE riverbank_lake = '${copy.replaceAll("'", "''")}'`
    expect(await inShell(copy, 'SELECT count(*) AS n FROM scores', moved)).toEqual([{ n: rowsOfFlush }])
    rmSync(copy, { recursive: true })
  })

  test('is that of the newest version, whichever writer came last, and leaves no half-written file', async () => {
    const other = await openLake({ dir: folder.dir })
    const { listed, write, stop } = await listing()
    await Promise.all([
      ...range(0, 10).map(() => publishFileList(other, schema)),
      ...range(0, 5).map((flush) => write(flush)),
    ])
    await listed.listed()
    const { version } = await lake.snapshot()
    expect(JSON.parse(readFileSync(join(folder.dir, 'files.json'), 'utf8'))).toMatchObject({ format: 1, version })
    expect(readFileSync(join(folder.dir, 'views.sql'), 'utf8')).toContain(`at version ${version}.`)
    expect(readdirSync(folder.dir).filter((name) => name.endsWith('.tmp'))).toEqual([])
    await stop()
  })

  test('that cannot be written fails no commit', async () => {
    const failures: unknown[] = []
    const listed = withFileList(lake, {
      schema: { ...schema, views: [null as never] },
      onFailure: (e) => void failures.push(e),
    })
    expect(await listed.log.commit({ owners: [{ topic: 'e', partition: 0, owner: 'a' }] })).toMatchObject({
      version: 1,
    })
    await listed.listed()
    expect(failures).toHaveLength(1)
  })
})

const reason = await pythonAvailable()
describe.skipIf(reason !== null)(`Python's DuckDB${reason === null ? '' : ` (${reason})`}`, () => {
  test('reads each position once at every moment of writing and compacting', async () => {
    const { write, merge, listed, stop } = await listing()
    const reader = spawn(python, [join(import.meta.dirname, 'outside_reader.py'), folder.dir])
    const said = { out: '', err: '' }
    reader.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
    reader.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
    const ended = new Promise<number | null>((resolve) => reader.once('close', resolve))
    const readings = () => said.out.split('\n').filter((line) => line !== '')
    await eventually(() => readings().length > 0 || said.err !== '', { deadlineMs: 60_000 })
    let flush = 0
    let merged = 0
    await eventually(
      async () => {
        for (let i = 0; i < 3; i += 1) await write(flush++)
        merged += (await merge()).written
        return (readings().length > 12 && merged > 5) || said.err !== ''
      },
      { deadlineMs: 120_000 },
    )
    await listed.listed()
    writeFileSync(join(folder.dir, 'stop'), '')
    expect(await ended, said.err).toBe(0)
    const counts = readings().map((line) => JSON.parse(line) as [number, number, number, number])
    for (const [rows, positions] of counts) expect(rows).toBe(positions)
    expect(counts.map(([rows]) => rows)).toEqual(counts.map(([rows]) => rows).toSorted((a, b) => a - b))
    const [rows, , byList, byGlob] = counts.at(-1)!
    expect([rows, byList]).toEqual([flush * rowsOfFlush, flush * rowsOfFlush])
    expect(byGlob).toBeGreaterThan(rows)
    await stop()
  })
})
