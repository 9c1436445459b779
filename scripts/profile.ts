import { Command, Option } from 'commander'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startBroker } from './bench/broker.ts'
import { cpuSeconds, mainThreadSeconds } from './bench/cpu.ts'
import { feedHistory, openFeed, type Feed } from './bench/feed.ts'
import { openInstallation, type Driver, type Installation } from './bench/installation.ts'
import { describeMachine, machineLine } from './bench/machine.ts'
import { positive } from './bench/options.ts'
import { StackTimes } from './bench/profile/by-stage.ts'
import { flameGraph } from './bench/profile/flame-graph.ts'
import { agentOptions, folderVariable, readProfile, recorded } from './bench/profile/recording.ts'
import { profileRows, type RoleCost } from './bench/profile/report.ts'
import { loadFromOutside, readKinds } from './bench/reads.ts'
import { runToEnd } from './bench/run-to-end.ts'
import { table } from '../src/app/command-line/table.ts'
import { RiverbankError } from '../src/base/errors.ts'

const roles = ['process', 'serve', 'materialize'] as const
const loads = { payments: null, get: 'GET one customer', post: 'POST three customers' } as const

interface Options {
  readonly role: (typeof roles)[number]
  readonly load: keyof typeof loads
  readonly log: Driver
  readonly payments: number
  readonly seconds: number
  readonly all: boolean
  readonly functions: number
  readonly out: string
}

const program = new Command('npm run profile --')
  .description('Processor time of a role under load, by stage: a table, V8 profile and flame graph (SVG).')
  .addOption(new Option('--role <name>', 'the role').choices(roles).default('process'))
  .addOption(
    new Option('--load <kind>', 'payments, or reads over HTTP').choices(Object.keys(loads)).default('payments'),
  )
  .addOption(new Option('--log <driver>', 'what carries the events').choices(['redis', 'kafka']).default('redis'))
  .option('--payments <n>', 'payments under the profiler, after as many without it', positive, 30_000)
  .option('--seconds <n>', 'length of a load of reads', positive, 8)
  .option('--all', 'run the other roles beside it, too', false)
  .option('--functions <n>', 'rows of the table by function', positive, 25)
  .option('--out <folder>', 'profile and flame graph are written there', join('.cache', 'profile'))
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : 2)
  })

const say = (text: string) => {
  process.stderr.write(`${text}\n`)
}

interface Profiled {
  /** What the load counts. */
  readonly units: number
  readonly seconds: number
  readonly cost: RoleCost
  readonly file: string
}

async function main(options: Options): Promise<void> {
  const ending = new AbortController()
  const interrupt = () => ending.abort(new RiverbankError('interrupted', 'stopped before it was done'))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const folder = await mkdtemp(join(tmpdir(), 'riverbank-profile-'))
  const broker = options.log === 'kafka' ? await startBroker(say) : null
  try {
    if (options.log === 'kafka' && broker === null) throw new RiverbankError('kafka_missing', 'there is no broker')
    const installation = await openInstallation({
      driver: options.log,
      ...(broker === null ? {} : { brokers: broker.brokers }),
      ...(options.all ? {} : { roles: [...new Set(['process', options.role])] }),
      nodeArgs: { [options.role]: agentOptions() },
      env: { [folderVariable]: folder },
      onFailure: (error) => ending.abort(error),
    })
    try {
      const profiled = await profile(options, installation, folder, ending.signal)
      await report(options, profiled)
    } finally {
      await installation.close()
    }
  } finally {
    await broker?.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function profile(
  options: Options,
  installation: Installation,
  folder: string,
  signal: AbortSignal,
): Promise<Profiled> {
  const { role, payments, seconds } = options
  const pid = installation.pids().get(`${role}-1`)
  if (pid === undefined) throw new RiverbankError('profile_missing', `${role} does not run`)
  const feed = openFeed(2 * payments)
  // What the role writes last is done when all of it has reached that stage.
  const stage = role === 'materialize' ? 'materialized' : 'scored'
  say(`warming up with ${payments} payments`)
  await feedHistory(installation, feed, payments, signal, stage)
  const work = loadOf(options, installation, feed, signal, stage)
  say(`profiling ${role} under ${work.what}`)
  let units = 0
  const before = await secondsOf(pid)
  const startedMs = performance.now()
  const file = await recorded(folder, pid, async () => {
    units = await work.run()
  })
  const after = await secondsOf(pid)
  const usPerUnit = (from: number, to: number) => ((to - from) * 1e6) / units
  const cost = { allUs: usPerUnit(before.all, after.all), mainUs: usPerUnit(before.main, after.main) }
  return { units, seconds: options.load === 'payments' ? (performance.now() - startedMs) / 1_000 : seconds, cost, file }
}

/** `run` answers the number of payments or requests. */
function loadOf(
  { load, payments, seconds }: Options,
  installation: Installation,
  feed: Feed,
  signal: AbortSignal,
  stage: 'scored' | 'materialized',
) {
  const kind = readKinds(installation.port).find(({ name }) => name === loads[load])
  if (kind === undefined) {
    const run = async () => {
      await feedHistory(installation, feed, payments, signal, stage)
      return payments
    }
    return { what: `${payments} payments`, run }
  }
  const run = async () => {
    const { requests } = kind
    const order = { port: installation.port, connections: 16, warmUpMs: 0, measureMs: seconds * 1_000, requests }
    const result = await loadFromOutside(order, signal)
    if (result.failures > 0) throw new RiverbankError('reads_failed', `${result.failures} answers were not 200`)
    return result.requests
  }
  return { what: `${kind.name} for ${seconds} seconds`, run }
}

async function secondsOf(pid: number): Promise<{ readonly all: number; readonly main: number }> {
  return { all: (await cpuSeconds(new Map([['role', pid]]))).get('role') ?? NaN, main: await mainThreadSeconds(pid) }
}

async function report(options: Options, { units, seconds, cost, file }: Profiled): Promise<void> {
  const { role, log, load, out, functions } = options
  const times = new StackTimes(await readProfile(file))
  const rows = profileRows(times, cost, functions)
  const what = load === 'payments' ? 'payment' : 'request'
  const title = `${role} on ${log}: ${cost.allUs.toFixed(1)} µs of processor time per ${what}`
  await mkdir(out, { recursive: true })
  const path = resolve(out, `${role}-${log}-${load}`)
  await writeFile(`${path}.svg`, flameGraph(times, title))
  await copyFile(file, `${path}.cpuprofile`)
  const rate = `${Math.round(units / seconds)} ${what}s a second, ${(rows.idleShare * 100).toFixed(0)} % of the time idle`
  process.stdout.write(`${machineLine(describeMachine())}\n${title}, ${rate}\n\n`)
  process.stdout.write(`${table(rows.stages)}\n${table(rows.functions)}\n${path}.cpuprofile\n${path}.svg\n`)
}

program.parse()
await runToEnd(() => main(program.opts<Options>()))
