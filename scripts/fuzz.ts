import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { caseToJson, streamsPerDefinition } from './fuzz/fuzz.ts'
import { fuzzInWorkers } from './fuzz/workers.ts'

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
  .option('--workers <n>', 'processes at once', whole, availableParallelism())
  .option('--out <dir>', 'where a regression case goes', 'test/parity/regressions')
  .parse()
  .opts<{ cases: number; seed: number; workers: number; out: string }>()

const startedMs = performance.now()
const elapsed = () => `${Math.round((performance.now() - startedMs) / 1_000)} s`
let [saidMs, done, reads] = [startedMs, 0, 0]
process.stderr.write(`seed ${options.seed}\n`)
const seeds = Array.from(
  { length: Math.ceil(options.cases / streamsPerDefinition) },
  (_, i) => options.seed + i * streamsPerDefinition,
)
const difference = await fuzzInWorkers(seeds, Math.max(1, options.workers), (found) => {
  done += streamsPerDefinition
  reads += found
  if (performance.now() - saidMs < 5_000) return
  saidMs = performance.now()
  process.stderr.write(`${done} of ${options.cases} cases, ${elapsed()}\n`)
})
if (difference === null) {
  process.stdout.write(`${options.cases} cases agree, ${reads} values, in ${elapsed()}, seed ${options.seed}\n`)
} else {
  const file = join(options.out, `${difference.seed}.json`)
  await writeFile(file, caseToJson(difference))
  process.stdout.write(
    `${difference.text}\nshrunk to ${difference.events.length} events and ${difference.recipe.views.length} views: ${file}\n`,
  )
  process.exitCode = 1
}
