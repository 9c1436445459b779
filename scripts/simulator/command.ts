import { Command, InvalidArgumentError, Option } from 'commander'
import { dayMs, durationMs } from '../../src/base/units.ts'
import type { Simulator, SimulatorChoice } from '../../src/define/simulator.ts'
import { projectOption } from '../project.ts'
import { keptTimes, type KeptTime } from './time-axis.ts'

/** The checked options of the command line. Times in milliseconds. */
export interface SimulateOptions {
  readonly canonical: boolean
  readonly to?: 'ndjson' | 'log'
  readonly fromDay: number
  readonly toDay?: number
  readonly events?: number
  readonly rate?: number
  readonly end?: 'now' | number
  readonly keepTime: KeptTime
  /** null: no labels. */
  readonly labelDelayMs: number | null
  readonly labelsUntil: 'end' | 'all'
  readonly idPrefix: string
  readonly live: boolean
  readonly history: boolean
  readonly liveEvents?: number
  readonly liveForMs?: number
  readonly liveLabelDelayMs: number | null
  readonly seed: number
  /** The choices that the project's simulator offers. */
  readonly choice: SimulatorChoice
  readonly batchRecords: number
  readonly inFlightMax: number
  readonly quiet: boolean
}

const help = `
Modes
  --canonical          the rows of the data set as text; | sha256sum identifies it
  --to ndjson          one CloudEvent per line on stdout
  --to log             into the log of the RIVERBANK_ settings; a JSON summary on stdout at the end

Time
  Day 0 is the simulator's own. --end moves the whole history so that its end is at that moment: the end of its last day,
  or just after its last event when --events cuts it short. Everything moves by the same amount, so what
  happened at night may then happen at noon, and on another day of the week; features made of those change their
  meaning. --keep-time day keeps the time of day and ends up to a day earlier; --keep-time week also keeps the day of
  the week and ends up to a week earlier.
  Labels come --label-delay after what they label, before an event of the same moment, and only for events in the
  range. None is ever ahead of the clock.

Live
  After the history (or, with --no-history, without it) the same world goes on at the wall clock, at --rate,
  until Ctrl-C. The history is then not slowed down, and --end is now unless given. Every run's live ids differ.

Examples
  simulate --canonical | sha256sum
  simulate --to ndjson --events 1000 --end now
  simulate --to log --to-day 30 --end now --keep-time day --live --rate 50
  simulate --project examples/logins --to ndjson --events 1000
`

/** Parses `argv` (without node and script). Prints help or the mistake, and exits, as commander does. */
export function parseSimulate(argv: readonly string[], simulator: Simulator): SimulateOptions {
  const command = new Command('simulate')
    .description(`The simulator: ${simulator.about}.`)
    .option(...projectOption)
    .addOption(new Option('--canonical', 'print the data set itself').default(false).conflicts(['to', 'live', 'rate']))
    .addOption(new Option('--to <sink>', 'where events go').choices(['ndjson', 'log']))
    .option('--from-day <day>', 'first day', whole(0), 0)
    .option('--to-day <day>', 'first day that is left out (default: none)', whole(1))
    .option('--events <n>', 'only the first n events of the range that are scored', whole(1))
    .option('--rate <n>', 'scored events per second, evenly (default: as fast as possible; live: 20)', rate)
    .option('--end <time>', '`now` or an RFC 3339 time at which the history ends (default: not moved)', endTime)
    .addOption(new Option('--keep-time <what>', 'what --end must not change').choices(keptTimes).default('none'))
    .addOption(
      new Option('--label-delay <duration>', 'from an event to its label')
        .argParser(duration)
        .default(simulator.labelDelayMs, `${simulator.labelDelayMs / dayMs}d`),
    )
    .option('--no-labels', 'no labels')
    .addOption(
      new Option('--labels-until <what>', 'end: labels that fall after the history are left out; all: they follow')
        .choices(['end', 'all'])
        .default('end'),
    )
    .option('--id-prefix <text>', 'put before every event id: a second run on one log needs its own', idPrefix, '')
    .option('--live', 'go on after the history', false)
    .option('--no-history', 'with --live: without the history')
    .option('--live-events <n>', 'stop after n live events that are scored', whole(1))
    .option('--live-for <duration>', 'stop live traffic after this time', duration)
    .option('--live-label-delay <duration>', 'as --label-delay, for live events (default: --label-delay)', duration)
    .option('--seed <n>', 'of the live traffic', whole(0, 0xffffffff), 1)
    .option('--batch <n>', 'records published together', whole(1, 2_000), 500)
    .option('--in-flight <n>', 'batches on their way at once', whole(1, 256), 4)
    .option('--quiet', 'no progress on stderr', false)
    .addHelpText('after', help)
  for (const [name, { about, byDefault, min, max }] of Object.entries(simulator.options)) {
    command.option(`--${kebab(name)} <n>`, about, whole(min, max), byDefault)
  }
  command.parse([...argv], { from: 'user' })
  const values = command.opts<Record<string, unknown>>()
  if (values['canonical'] !== true && values['to'] === undefined) {
    command.error('error: say what to do: --canonical, --to ndjson or --to log (see --help)')
  }
  if (values['history'] === false && values['live'] !== true) command.error('error: --no-history needs --live')
  const { labels, labelDelay, liveLabelDelay, liveFor, batch, inFlight, ...rest } = values
  const choice = Object.fromEntries(Object.keys(simulator.options).map((name) => [name, values[name]]))
  const labelDelayMs = labels === false ? null : labelDelay
  return {
    ...rest,
    choice,
    labelDelayMs,
    liveLabelDelayMs: labels === false ? null : (liveLabelDelay ?? labelDelayMs),
    ...(liveFor === undefined ? {} : { liveForMs: liveFor }),
    batchRecords: batch,
    inFlightMax: inFlight,
  } as SimulateOptions
}

function whole(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`A whole number from ${min}${max < Number.MAX_SAFE_INTEGER ? ` to ${max}` : ''}.`)
  }
}

function rate(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= 1_000_000) return value
  throw new InvalidArgumentError('A number above 0, at most 1000000.')
}

function duration(text: string): number {
  try {
    return durationMs(text)
  } catch {
    throw new InvalidArgumentError('A whole number and s, m, h or d, such as 30s, 5m, 7d.')
  }
}

function endTime(text: string): 'now' | number {
  if (text === 'now') return text
  const timeMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(timeMs)) throw new InvalidArgumentError('`now` or a time such as 2026-01-31T12:00:00Z.')
  if (timeMs > Date.now()) throw new InvalidArgumentError('It is in the future; no event may be.')
  return timeMs
}

function idPrefix(text: string): string {
  if (/^[\w.:-]{0,64}$/.test(text)) return text
  throw new InvalidArgumentError('At most 64 letters, digits or _ . : -')
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
