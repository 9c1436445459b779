import { fuzzDefinition } from './fuzz.ts'
import { noTotals } from './run-case.ts'
import { openQuery } from '../../src/edges/duckdb/query.ts'

/*
 * A process that gets the seed of a definition, answers a Finding, and gets the next seed, until its parent ends it.
 * Its argument is the folder to which the database spills.
 */
const query = await openQuery({ threads: 1, memoryMb: 1_024, tempDir: process.argv[2] ?? '', tempMb: 4_096, setup: [] })

process.on('message', (first: number) => {
  const totals = noTotals()
  fuzzDefinition(first, query, totals).then(
    (difference) => process.send?.({ difference, reads: totals.reads }),
    (error: unknown) =>
      process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )
})
// Without a parent there is no one to answer.
process.once('disconnect', () => process.exit(0))
process.send?.('ready')
