import { Command, Option } from 'commander'
import { writeFile } from 'node:fs/promises'
import { comparisonRows, readReport, type EarlierReport } from './bench/compare.ts'
import { describeEnvironment, environmentLine } from './bench/environment.ts'
import { growthParts, growthSizes, type GrowthPart } from './bench/growth/sizes.ts'
import type { Driver } from './bench/installation.ts'
import { Measurements, rowOf, type Metric } from './bench/measurement.ts'
import { namesFrom, positive, positives } from './bench/options.ts'
import { benchmarks } from './bench/registry.ts'
import { runBenchmarks } from './bench/runner.ts'
import { runToEnd } from './bench/run-to-end.ts'
import { table } from '../src/app/command-line/table.ts'
import { RiverbankError } from '../src/base/errors.ts'

interface Options {
  readonly only?: readonly string[]
  readonly rounds: number
  readonly seconds: number
  readonly minutes: number
  readonly payments: number
  readonly log: Driver | 'both'
  readonly short: boolean
  readonly growth: readonly GrowthPart[]
  readonly entities: readonly number[]
  readonly days: readonly number[]
  readonly partitions: readonly number[]
  readonly json?: string
  readonly compare?: string
}

/** Sizes that only show that a benchmark runs. */
const shortSizes = { rounds: 1, seconds: 1, minutes: 0.05, payments: 500 } as const

const listed = benchmarks.map(({ name, about, isLong }) => {
  return `  ${name.padEnd(15)} ${about}${isLong === true ? ' (only when named)' : ''}`
})

const program = new Command('npm run bench --')
  .description('Measures this program on this machine: medians of several rounds, with the smallest and the largest.')
  .option('--only <names>', 'these benchmarks, separated by commas', namesFrom(benchmarks.map(({ name }) => name)))
  .option('--rounds <n>', 'how often each is measured', positive, 3)
  .option('--seconds <n>', 'length of a round that measures over time', positive, 6)
  .option('--minutes <n>', 'how long memory is watched, at 50 payments a second: only with --only memory', positive, 30)
  .option('--payments <n>', 'payments of a round of the stream', positive, 40_000)
  .addOption(
    new Option('--log <driver>', 'what carries the events').choices(['redis', 'kafka', 'both']).default('both'),
  )
  .option('--growth <parts>', `of growth: ${growthParts.join(', ')}`, namesFrom(growthParts), growthParts)
  .option('--entities <numbers>', 'of growth: customers, terminals and pairs together', positives, growthSizes.entities)
  .option('--days <numbers>', 'of growth: days of history', positives, growthSizes.days)
  .option('--partitions <numbers>', 'of growth: partitions of the topics', positives, growthSizes.partitions)
  .option('--short', 'show that every benchmark runs; the numbers mean nothing', false)
  .option('--json <file>', 'write the numbers of every round there')
  .option('--compare <file>', 'compare with the numbers of an earlier run')
  .addHelpText('after', `\nBenchmarks, in this order:\n${listed.join('\n')}`)
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : 2)
  })

const say = (text: string) => {
  process.stderr.write(`${text}\n`)
}

async function main(options: Options): Promise<void> {
  const ending = new AbortController()
  const interrupt = () => ending.abort(new RiverbankError('interrupted', 'stopped before it was done'))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const earlier = options.compare === undefined ? null : await readReport(options.compare)
  const { entities, days, partitions } = options
  const environment = describeEnvironment()
  say(environmentLine(environment))
  const measurements = new Measurements()
  const run = {
    ...options,
    growth: { parts: options.growth, entities, days, partitions },
    ...(options.short ? { ...shortSizes, isShort: true } : {}),
    signal: ending.signal,
    record: (metric: Metric, value: number) => measurements.add(metric, value),
    say,
  }
  const asked = benchmarks.filter(
    ({ name, isLong }) => options.only?.includes(name) ?? (options.short || isLong !== true),
  )
  const drivers = options.log === 'both' ? (['redis', 'kafka'] as const) : [options.log]
  try {
    await runBenchmarks(run, asked, drivers, (error) => ending.abort(error))
  } finally {
    // Measurements before an interruption are worth reading.
    const all = measurements.all()
    process.stdout.write(`${environmentLine(environment)}\n${table(all.map(rowOf))}`)
    if (earlier !== null) process.stdout.write(comparison(earlier, comparisonRows(earlier, all)))
    const report = { environment, measuredAt: new Date().toISOString(), options, measurements: all }
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  }
}

function comparison({ environment, measuredAt }: EarlierReport, rows: readonly Record<string, string>[]): string {
  const beyond = rows.filter(({ verdict }) => ['faster', 'slower', 'changed'].includes(verdict ?? ''))
  const head = `compared with commit ${environment.commit ?? 'unknown'} of ${measuredAt}`
  return `\n${head}: ${beyond.length} of ${rows.length} changed beyond noise\n${table(rows)}`
}

program.parse()
await runToEnd(() => main(program.opts<Options>()))
