import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { openTableWriter, type DatabaseWriter } from '../../../src/edges/duckdb/table-writer.ts'

describe('doubles through Parquet', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'riverbank-writer-'))
  })
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true })
  })

  // A column of few distinct values is what a dictionary is for, and in a dictionary -0 and 0 are one entry.
  it.each([
    ['only zeros of both signs', [-0, 0, 0, -0]],
    ['one other value', [-0, 0, 1.5, -0]],
    ['the smallest, the largest, and neighbours', [Number.MIN_VALUE, Number.MAX_VALUE, 0.1, 0.1 + Number.EPSILON / 8]],
  ])('I3 keeps every bit: %s', async (_name, values) => {
    const writer = await openTableWriter({ threads: 1, memoryMb: 256, rowGroupRows: 2_048 })
    const path = join(dir, 'doubles.parquet')
    await writer.write(path, [{ name: 'value', type: 'DOUBLE', values: Float64Array.from(values) }], values.length)
    await writer.close()
    const query = await openQuery({ threads: 1, memoryMb: 256, tempDir: dir, tempMb: 64, setup: [] })
    const rows = await query.rows(`SELECT value FROM read_parquet('${path}')`)
    query.close()
    expect(rows.map((row) => row['value'])).toEqual(values)
    expect(rows.map((row) => Object.is(row['value'], -0))).toEqual(values.map((value) => Object.is(value, -0)))
  })
})

describe('what cannot be written', () => {
  it('is told apart: a value that no column can take, and a folder that is not there', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'riverbank-writer-'))
    const writer = await openTableWriter({ threads: 1, memoryMb: 256, rowGroupRows: 2_048 })
    const write = (path: string, value: number) =>
      writer.write(join(dir, path), [{ name: 'value', type: 'BIGINT', values: Float64Array.of(value) }], 1)
    await expect(write('a.parquet', 1.5)).rejects.toMatchObject({ code: 'lake_rows_refused', canRetry: false })
    await expect(write('gone/b.parquet', 1)).rejects.toMatchObject({ code: 'lake_write_failed', canRetry: true })
    await write('c.parquet', 1)
    await writer.close()
    rmSync(dir, { recursive: true, force: true })
  })
})

describe('memory of the writer', () => {
  const mebibyte = 1_048_576
  const [files, rows] = [8, 20_000] as const
  let dir: string
  let writer: DatabaseWriter
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'riverbank-writer-'))
    writer = await openTableWriter({ threads: 1, memoryMb: 256, rowGroupRows: 2_048 })
  })
  afterEach(async () => {
    await writer.close()
    rmSync(dir, { recursive: true, force: true })
  })

  /** Numbers that do not compress, so that a file is about as large as its rows. */
  async function writeFiles(): Promise<string[]> {
    const paths = Array.from({ length: files }, (_, i) => join(dir, `${i}.parquet`))
    for (const [i, path] of paths.entries()) {
      const columns = ['a', 'b', 'c', 'd'].map((name, c) => {
        const values = Float64Array.from({ length: rows }, (_, row) => Math.sin(row + 1 + i * rows + c * 1e7))
        return { name, type: 'DOUBLE', values } as const
      })
      await writer.write(path, columns, rows)
    }
    return paths
  }

  it('holds nothing of the files that were written and merged', async () => {
    const paths = await writeFiles()
    expect(await writer.heldBytes(), 'after writing').toBeLessThan(mebibyte / 4)
    expect(await writer.merge(paths, join(dir, 'merged.parquet'))).toBe(files * rows)
    expect(statSync(join(dir, 'merged.parquet')).size, 'what was read').toBeGreaterThan(2 * mebibyte)
    expect(await writer.heldBytes(), 'after merging').toBeLessThan(mebibyte / 4)
  })
  it('fails a write that needs more than it may hold, and goes on with the next', async () => {
    const small = await openTableWriter({ threads: 1, memoryMb: 8, rowGroupRows: 2_048 })
    const columns = (rows: number) => [
      {
        name: 'text',
        type: 'VARCHAR',
        values: Array.from({ length: rows }, (_, i) => `${i}`.padStart(2_000, '0')),
      } as const,
    ]
    const path = (name: string) => join(dir, `${name}.parquet`)
    await expect(small.write(path('large'), columns(20_000), 20_000)).rejects.toMatchObject({
      code: 'lake_write_failed',
      canRetry: true,
    })
    await small.write(path('small'), columns(10), 10)
    expect(statSync(path('small')).size).toBeGreaterThan(0)
    await small.close()
  })

  // What gives memory back is a thread, and /proc lists threads.
  it.skipIf(process.platform !== 'linux')(
    'gives freed memory back, also after another database has closed',
    async () => {
      const threads = () => readdirSync('/proc/self/task').length
      await writeFiles()
      const query = await openQuery({ threads: 1, memoryMb: 256, tempDir: dir, tempMb: 64, setup: [] })
      query.close()
      const without = threads()
      await writeFiles()
      expect(threads()).toBeGreaterThan(without)
    },
  )
})
