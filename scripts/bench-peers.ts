import { Command, Option } from 'commander'
import { writeFile } from 'node:fs/promises'
import { describeMachine, machineLine } from './bench/machine.ts'
import { Measurements, rowOf } from './bench/measurement.ts'
import { runReads, runStreams, type StreamReport } from './bench/peers/arena.ts'
import { fetchFlink, makePython } from './bench/peers/environment.ts'
import { feastDiffers } from './bench/peers/feast.ts'
import { summaryOf } from './bench/peers/summary.ts'
import { positive } from './bench/options.ts'
import type { Run } from './bench/run.ts'
import { kafkaAvailable } from './kafka/distribution.ts'
import { runToEnd } from './bench/run-to-end.ts'
import { table } from '../src/app/command-line/table.ts'
import { isRiverbankError, RiverbankError } from '../src/base/errors.ts'

const peers = ['quix', 'flink', 'feast'] as const
type Peer = (typeof peers)[number]

interface Options {
  readonly only: readonly Peer[]
  readonly rounds: number
  readonly payments: number
  readonly seconds: number
  readonly json?: string
  readonly install?: true
}

const program = new Command('npm run bench:peers --')
  .description(
    'Measures Riverbank beside Quix Streams, Flink SQL and Feast on this machine: medians of rounds in turn.',
  )
  .addOption(new Option('--only <peers...>', 'these beside Riverbank').choices(peers).default(peers))
  .option('--rounds <n>', 'how often each is measured', positive, 3)
  .option('--payments <n>', 'payments of a round', positive, 10_000)
  .option('--seconds <n>', 'length of a round of reads', positive, 5)
  .option('--json <file>', 'write the numbers of every round there')
  .option('--install', 'install the peers and measure nothing')
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : 2)
  })

const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}\n`).join('')

const say = (text: string) => {
  process.stderr.write(`${text}\n`)
}

/** Installs the asked peers; answers those that can run, and one line for each that cannot. */
async function install(asked: readonly Peer[]): Promise<{ ready: Set<Peer>; missing: string[] }> {
  const ready = new Set<Peer>()
  const missing: string[] = []
  const kafka = kafkaAvailable()
  for (const peer of asked) {
    say(`${peer}: installing, unless it is there`)
    try {
      if (peer !== 'feast' && kafka.kind === 'missing')
        throw new RiverbankError('peer_missing', `${peer}: ${kafka.reason}`)
      await (peer === 'flink' ? fetchFlink() : makePython(peer))
      ready.add(peer)
    } catch (error) {
      if (!isRiverbankError(error, 'peer_missing')) throw error
      missing.push(`${error.code}: ${error.message}`)
      say(missing.at(-1) ?? '')
    }
  }
  return { ready, missing }
}

async function main(options: Options): Promise<void> {
  const ending = new AbortController()
  const interrupt = () => ending.abort(new RiverbankError('interrupted', 'stopped before it was done'))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const machine = describeMachine()
  say(machineLine(machine))
  const { ready, missing } = await install(options.only)
  if (ready.size === 0) throw new RiverbankError('peer_missing', 'none of the peers can run here')
  if (options.install === true) return
  const measurements = new Measurements()
  const run: Run = {
    ...options,
    minutes: 0,
    signal: ending.signal,
    record: (metric, value) => measurements.add(metric, value),
    say,
    isLate: () => false,
  }
  const fail = (error: unknown) => ending.abort(error)
  let streams: StreamReport = { contestants: [], agreements: [] }
  try {
    const streaming = new Set([...ready].filter((peer) => peer !== 'feast'))
    if (streaming.size > 0) streams = await runStreams(run, streaming, fail)
    if (ready.has('feast')) await runReads(run, fail)
  } finally {
    // Measurements before an interruption are worth reading.
    const all = measurements.all()
    const { contestants, agreements } = streams
    const print = (text: string) => process.stdout.write(`${text}\n`)
    print(`${machineLine(machine)}\n${table(all.map(rowOf))}`)
    if (contestants.length > 0) {
      print(table(agreements.map((agreement) => ({ ...agreement }))))
      print(table(summaryOf(contestants, all, agreements)))
    }
    for (const { name, differs } of contestants) print(`${name}\n${indented(differs)}`)
    if (ready.has('feast')) print(`Feast\n${indented(feastDiffers)}`)
    for (const line of missing) print(line)
    const report = { machine, measuredAt: new Date().toISOString(), options, measurements: all, agreements, missing }
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  }
}

program.parse()
await runToEnd(() => main(program.opts<Options>()))
