import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readConfig } from '../../../../src/app/installation/settings/config.ts'
import { definitions } from '../../../../src/app/installation/settings/definitions.ts'
import { withLakeQuery } from '../../../../src/app/installation/lake/lake-query.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'riverbank-lake-query-'))
})
afterEach(() => {
  rmSync(dir, { recursive: true, force: true })
})

it.each([
  [256, '244.1 MiB'],
  [undefined, '1.9 GiB'],
])('a query of a role holds the memory that it is given: %s MB', async (memoryMb, expected) => {
  const limits = memoryMb === undefined ? {} : { memoryMb }
  const asked = "SELECT current_setting('memory_limit') AS limit"
  const rows = await withLakeQuery({ DATA_DIR: dir }, definitions(readConfig({})), (query) => query.rows(asked), limits)
  expect(rows).toEqual([{ limit: expected }])
})
