import { Command, Option } from 'commander'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker, type BenchBroker } from './bench/broker.ts'
import { benchBytes } from './bench/bytes.ts'
import { benchEngine } from './bench/engine.ts'
import { benchExplain } from './bench/explain.ts'
import { benchFloorReads } from './bench/floor/reads.ts'
import { benchFloorStream } from './bench/floor/stream.ts'
import { feedHistory, openFeed } from './bench/feed.ts'
import { openInstallation, type Driver } from './bench/installation.ts'
import { benchLatency } from './bench/latency.ts'
import { benchLookups } from './bench/lookups.ts'
import { describeMachine, machineLine } from './bench/machine.ts'
import { Measurements, rowOf } from './bench/measurement.ts'
import { benchMemory } from './bench/memory.ts'
import { positive } from './bench/options.ts'
import { benchPipeline } from './bench/pipeline.ts'
import { benchReads } from './bench/reads.ts'
import type { Run } from './bench/run.ts'
import { benchScoring } from './bench/scoring.ts'
import { benchShadow, writeShadowModels } from './bench/shadow.ts'
import { table } from '../src/app/command-line/table.ts'
import { isRiverbankError, RiverbankError } from '../src/base/errors.ts'

const benchmarks = [
  'engine',
  'scoring',
  'explain',
  'pipeline',
  'floor',
  'floor-reads',
  'shadow',
  'latency',
  'reads',
  'lookups',
  'bytes',
  'memory',
] as const
type Benchmark = (typeof benchmarks)[number]

interface Options {
  readonly only?: Benchmark
  readonly rounds: number
  readonly seconds: number
  readonly minutes: number
  readonly payments: number
  readonly log: Driver | 'both'
  readonly json?: string
}

/** The benchmark sends so many payments before any clock starts, to warm connections, caches and compiled code. */
const warmUpPayments = 10_000
/** After this long the benchmark begins no further round. */
const enoughMs = 280_000

const program = new Command('npm run bench --')
  .description('Measures this program on this machine: medians of several rounds, with the smallest and the largest.')
  .addOption(new Option('--only <name>', 'one benchmark instead of all').choices(benchmarks))
  .option('--rounds <n>', 'how often each is measured', positive, 3)
  .option('--seconds <n>', 'length of a round of latency and of reads', positive, 6)
  .option('--minutes <n>', 'how long memory is watched, at 50 payments a second: only with --only memory', positive, 30)
  .option('--payments <n>', 'payments of a round of the pipeline', positive, 40_000)
  .addOption(
    new Option('--log <driver>', 'what carries the events').choices(['redis', 'kafka', 'both']).default('both'),
  )
  .option('--json <file>', 'write the numbers of every round there')
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : 2)
  })

const say = (text: string) => {
  process.stderr.write(`${text}\n`)
}

async function main(options: Options): Promise<void> {
  const startedMs = performance.now()
  const ending = new AbortController()
  const interrupt = () => ending.abort(new RiverbankError('interrupted', 'stopped before it was done'))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const machine = describeMachine()
  say(machineLine(machine))
  const measurements = new Measurements()
  const run: Run = {
    ...options,
    signal: ending.signal,
    record: (metric, value) => measurements.add(metric, value),
    say,
    isLate: () => performance.now() - startedMs > enoughMs,
  }
  // The memory benchmark takes longer than all others together.
  const isAsked = (name: Benchmark) => (options.only === undefined ? name !== 'memory' : options.only === name)
  try {
    if (isAsked('engine')) await benchEngine(run)
    if (isAsked('scoring')) await benchScoring(run)
    if (isAsked('explain')) await benchExplain(run)
    if (isAsked('bytes')) await benchBytes(run)
    if (isAsked('lookups')) await benchLookups(run)
    if (isAsked('floor')) await benchFloor(run, options, ending)
    if ((isAsked('floor') || isAsked('floor-reads')) && options.log !== 'kafka') {
      await benchFloorReads(run, (error) => ending.abort(error))
    }
    if (['pipeline', 'shadow', 'latency', 'reads', 'memory'].some((name) => isAsked(name as Benchmark))) {
      for (const driver of ['redis', 'kafka'] as const) {
        if (options.log === 'both' || options.log === driver) await benchDriver(run, driver, isAsked, ending)
      }
    }
  } finally {
    // Measurements before an interruption are worth reading.
    const all = measurements.all()
    process.stdout.write(`${machineLine(machine)}\n${table(all.map(rowOf))}`)
    const report = { machine, measuredAt: new Date().toISOString(), options, measurements: all }
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  }
}

/** Runs the floor of the stream: for each driver an installation whose processor has both cores. */
async function benchFloor(run: Run, { log }: Options, ending: AbortController): Promise<void> {
  for (const driver of ['redis', 'kafka'] as const) {
    if (log !== 'both' && log !== driver) continue
    const broker = driver === 'kafka' ? await startBroker(say) : null
    if (driver === 'kafka' && broker === null) continue
    const open = (roles: readonly string[]) =>
      openInstallation({ driver, roles, ...brokersOf(broker), onFailure: (error) => ending.abort(error) })
    try {
      const streaming = await open(['process'])
      try {
        const feed = openFeed(warmUpPayments + run.payments * (run.rounds + 1))
        await feedHistory(streaming, feed, warmUpPayments, run.signal, 'scored')
        await benchFloorStream(run, streaming, feed, broker?.pid ?? null)
      } finally {
        await streaming.close()
      }
    } finally {
      await broker?.close()
    }
  }
}

function brokersOf(broker: BenchBroker | null): { readonly brokers?: string } {
  return broker === null ? {} : { brokers: broker.brokers }
}

/** One installation for all benchmarks that need one: each finds the history that those before it left. */
async function benchDriver(
  run: Run,
  driver: Driver,
  isAsked: (name: Benchmark) => boolean,
  ending: AbortController,
): Promise<void> {
  // Reads do not use the log.
  if (driver === 'kafka' && !isAsked('pipeline') && !isAsked('latency')) return
  const broker = driver === 'kafka' ? await startBroker(say) : null
  if (driver === 'kafka' && broker === null) return
  const modelsDir = await mkdtemp(join(tmpdir(), 'riverbank-bench-models-'))
  try {
    await writeShadowModels(modelsDir)
    const installation = await openInstallation({
      driver,
      modelsDir,
      ...brokersOf(broker),
      onFailure: (error) => ending.abort(error),
    })
    try {
      if (isAsked('memory')) {
        await benchMemory(run, installation)
        return
      }
      const feed = openFeed(warmUpPayments + run.payments * run.rounds * (isAsked('shadow') ? 2 : 1))
      await feedHistory(installation, feed, warmUpPayments, run.signal)
      if (isAsked('pipeline')) await benchPipeline(run, installation, feed)
      else await feedHistory(installation, feed, run.payments, run.signal)
      if (isAsked('shadow') && driver === 'redis') await benchShadow(run, installation, feed)
      if (isAsked('latency')) await benchLatency(run, installation, feed)
      if (isAsked('reads') && driver === 'redis') await benchReads(run, installation)
    } finally {
      await installation.close()
    }
  } finally {
    await rm(modelsDir, { recursive: true, force: true })
    await broker?.close()
  }
}

program.parse()
try {
  await main(program.opts<Options>())
} catch (error) {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  say(isRiverbankError(error) ? `${error.code}: ${error.message}` : text)
  process.exitCode = 1
}
// Exits although a library may hold something open.
process.exit()
