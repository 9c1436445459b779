import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { openTableWriter } from '../../../src/edges/duckdb/table-writer.ts'

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
