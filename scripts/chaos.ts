import { Command, InvalidArgumentError, Option } from 'commander'
import { writeFile } from 'node:fs/promises'
import type { Fault } from './chaos/faults.ts'
import { Results } from './chaos/results.ts'
import { allFaults, runChaos } from './chaos/run.ts'
import type { Driver } from './chaos/servers.ts'
import { kafkaAvailable } from './kafka/distribution.ts'
import { isRiverbankError } from '../src/base/errors.ts'

interface Options {
  readonly minutes: number
  readonly log: Driver | 'both'
  readonly seed: number
  readonly only?: readonly string[]
  readonly json?: string
}

const faultNames = [...new Set([...allFaults.keeping, ...allFaults.losing].map(({ name }) => name))]

const program = new Command('npm run chaos --')
  .description('Inflicts every fault that this service claims to bear, on real processes and servers, and checks it.')
  .option('--minutes <n>', 'how long in all; every fault is inflicted once at least', positive, 10)
  .addOption(
    new Option('--log <driver>', 'what carries the events').choices(['redis', 'kafka', 'both']).default('both'),
  )
  .option('--seed <n>', 'of the traffic and of the choices', whole, Date.now() % 1_000_000)
  .option('--only <fault...>', `some of: ${faultNames.join(', ')}`, faultName)
  .option('--json <file>', 'write the results there')
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : 2)
  })

function faultName(text: string, before: readonly string[] = []): readonly string[] {
  if (!faultNames.includes(text)) throw new InvalidArgumentError(`there is no fault "${text}"`)
  return [...before, text]
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 10_080)) throw new InvalidArgumentError('minutes, at most a week of them')
  return value
}

function whole(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is needed')
  return value
}

const processors = 3

const say = (text: string) => {
  process.stderr.write(`${text}\n`)
}

/** Answers whether every invariant held, and every fault took effect. */
async function main({ minutes, log, seed, only, json }: Options): Promise<boolean> {
  say(`seed ${seed}`)
  const ending = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ending.abort())
  const drivers = log === 'both' ? (['redis', 'kafka'] as const) : [log]
  const kafka = kafkaAvailable()
  const results = new Results()
  const chosen = (faults: readonly Fault[]) => faults.filter(({ name }) => only?.includes(name) ?? true)
  const faults = { keeping: chosen(allFaults.keeping), losing: chosen(allFaults.losing) }
  for (const driver of drivers) {
    if (driver === 'kafka' && kafka.kind === 'missing') {
      if (log === 'kafka') throw new Error(`no Kafka: ${kafka.reason}`)
      say(`kafka: skipped (${kafka.reason})`)
      continue
    }
    if (ending.signal.aborted || results.failed) break
    const share = minutes / drivers.length
    await runChaos({ driver, seed, minutes: share, processors, ...faults, signal: ending.signal, say }, results)
  }
  process.stdout.write(results.text())
  for (const violation of results.violations) process.stdout.write(`violation: ${violation}\n`)
  for (const { fault, driver } of results.unseen) process.stdout.write(`never seen: ${fault} (${driver})\n`)
  const isWell = !results.failed && results.unseen.length === 0 && !ending.signal.aborted
  const report = { seed, minutes, isWell, rows: results.rows, violations: results.violations }
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 2)}\n`)
  return isWell
}

program.parse()
try {
  process.exitCode = (await main(program.opts<Options>())) ? 0 : 1
} catch (error) {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  say(isRiverbankError(error) ? `${error.code}: ${error.message}` : text)
  process.exitCode = 1
}
// Exits although a library may hold something open.
process.exit()
