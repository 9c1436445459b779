import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fuzzDefinition } from './fuzz.ts'
import { noTotals } from './run-case.ts'
import { openQuery } from '../../src/edges/duckdb/query.ts'

/*
 * A process that is sent the seed of a definition, answers what it found (a Finding), and is sent the next one. It ends
 * when its parent disconnects.
 */
const tempDir = await mkdtemp(join(tmpdir(), 'riverbank-fuzz-'))
const query = await openQuery({ threads: 1, memoryMb: 1_024, tempDir, tempMb: 4_096, setup: [] })

process.on('message', (first: number) => {
  const totals = noTotals()
  fuzzDefinition(first, query, totals).then(
    (difference) => process.send?.({ difference, reads: totals.reads }),
    (error: unknown) =>
      process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )
})
process.once('disconnect', () => {
  query.close()
  void rm(tempDir, { recursive: true, force: true })
})
process.send?.('ready')
