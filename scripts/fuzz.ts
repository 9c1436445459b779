import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { caseToJson, fuzzDefinition, streamsPerDefinition } from './fuzz/fuzz.ts'
import { noTotals } from './fuzz/run-case.ts'
import { openQuery } from '../src/edges/duckdb/query.ts'

function whole(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is needed')
  return value
}

const options = new Command('npm run fuzz --')
  .description(
    'Random definitions and event streams through the engine, the reference evaluator and the generated SQL: exit code 1\n' +
      'when two of them differ in a bit. What differs is shrunk and written down as a regression case.',
  )
  .option('--cases <n>', 'how many streams', whole, 10_000)
  .option('--seed <n>', 'of the first', whole, Date.now() % 1_000_000_000)
  .option('--out <dir>', 'where a regression case goes', 'test/parity/regressions')
  .parse()
  .opts<{ cases: number; seed: number; out: string }>()

const tempDir = await mkdtemp(join(tmpdir(), 'riverbank-fuzz-'))
const query = await openQuery({ threads: 2, memoryMb: 1_024, tempDir, tempMb: 4_096, setup: [] })
const totals = noTotals()
const startedMs = performance.now()
const elapsed = () => `${Math.round((performance.now() - startedMs) / 1_000)} s`
let saidMs = startedMs
process.stderr.write(`seed ${options.seed}\n`)
for (let done = 0; done < options.cases; done += streamsPerDefinition) {
  const difference = await fuzzDefinition(options.seed + done, query, totals)
  if (difference !== null) {
    const file = join(options.out, `${difference.seed}.json`)
    await writeFile(file, caseToJson(difference))
    process.stdout.write(
      `${difference.text}\nshrunk to ${difference.events.length} events and ${difference.recipe.views.length} views: ${file}\n`,
    )
    process.exitCode = 1
    break
  }
  if (performance.now() - saidMs < 5_000) continue
  saidMs = performance.now()
  process.stderr.write(`${done + streamsPerDefinition} of ${options.cases} cases, ${elapsed()}\n`)
}
if (process.exitCode === undefined) {
  process.stdout.write(`${options.cases} cases agree, ${totals.reads} values, in ${elapsed()}, seed ${options.seed}\n`)
}
query.close()
await rm(tempDir, { recursive: true, force: true })
