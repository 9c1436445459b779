import type { Config } from '../src/app/installation/settings/config.ts'
import { names, readConfig, readProject, withDefaults } from '../src/app/installation/settings/config.ts'
import { loadProject, isProjectError } from '../src/app/installation/settings/project.ts'
import { isRiverbankError, RiverbankError } from '../src/base/errors.ts'
import { dayMs } from '../src/base/units.ts'
import type { SimulatedEvent, SimulatedEvents, SimulatedHistory, Simulator } from '../src/define/simulator.ts'
import type { EventLog } from '../src/ports/log.ts'
import { scoredTypesOf, simulatorOf, takeProject } from './project.ts'
import { parseSimulate, type SimulateOptions } from './simulator/command.ts'
import { LineOutput } from './simulator/line-output.ts'
import { ProgressDisplay } from './simulator/progress-display.ts'
import type { Publish } from './simulator/publish-lane.ts'
import { streamEvents, type StreamSummary } from './simulator/stream-events.ts'
import { originEndingAt } from './simulator/time-axis.ts'
import { withTimeLimit } from './simulator/time-limit.ts'

const liveRatePerSecond = 20
/** Kafka applies it to a whole batch: the records of one request for one partition. */
const maxRecordBytes = 1_048_576

/** The destination of events, and the number of its ordered lanes. */
interface Sink {
  readonly topic: string
  readonly partitions: number
  readonly inFlightMax: number
  readonly scoredTypes: ReadonlySet<string>
  readonly publish: Publish
  close(): Promise<void>
}

/** One stream to publish: the history, or live traffic. */
interface Part {
  readonly label: string
  readonly events: SimulatedEvents
  readonly total: number | null
  readonly ratePerSecond: number | undefined
  readonly limitMs: number | undefined
  /** No event of the part has an earlier time. */
  readonly historyFromMs: number | undefined
}

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  takeProject(args, process.env)
  const standard = withDefaults(loadProject(process.env))
  const options = parseSimulate(args, simulatorOf(standard))
  const output = new LineOutput(process.stdout)
  const installed = options.to === 'log' ? readProject(process.env) : standard
  const simulator = simulatorOf(installed)
  if (options.canonical) return printRows(draw(simulator, options), output)
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  const scoredTypes = scoredTypesOf(installed)
  const sink = options.to === 'log' ? await logSink(options, scoredTypes) : lineSink(output, stop, scoredTypes)
  try {
    const startMs = performance.now()
    const summaries: StreamSummary[] = []
    for (const part of partsOf(simulator, options)) {
      if (stop.signal.aborted) break
      summaries.push(await run(part, sink, options, stop.signal))
    }
    if (options.to === 'log')
      await output.write(`${JSON.stringify(summaryOf(summaries, startMs, stop.signal.aborted))}\n`)
  } finally {
    await sink.close()
  }
}

async function printRows(history: SimulatedHistory, output: LineOutput): Promise<void> {
  if (history.lines === undefined) {
    throw new RiverbankError(
      'simulator_without_rows',
      'the data set of this project has no rows of its own: use --to ndjson',
    )
  }
  for (const block of history.lines()) if (!(await output.write(block))) return
}

function draw(simulator: Simulator, { fromDay, toDay, events, choice }: SimulateOptions): SimulatedHistory {
  return simulator.draw({
    ...{ choice, fromDay },
    ...(toDay === undefined ? {} : { toDay }),
    ...(events === undefined ? {} : { limit: events }),
  })
}

function* partsOf(simulator: Simulator, options: SimulateOptions): Generator<Part> {
  const nowMs = Date.now()
  const end = options.end ?? (options.live ? 'now' : undefined)
  const { epochMs } = simulator
  let originMs = epochMs
  let pending: readonly SimulatedEvent[] = []
  if (options.history) {
    const drawn = draw(simulator, options)
    const range = { epochMs, lengthMs: drawn.endMs }
    if (end !== undefined) originMs = originEndingAt(end === 'now' ? nowMs : end, range, options.keepTime)
    const history = drawn.placed({
      originMs,
      idPrefix: options.idPrefix,
      labelDelayMs: options.labelDelayMs,
      // A label becomes known at its time: no option may send one earlier.
      labelsBeforeMs: Math.min(options.labelsUntil === 'all' ? Infinity : originMs + drawn.endMs, nowMs + 1),
    })
    pending = history.pending
    yield {
      label: 'history',
      events: history.events,
      total: drawn.scored + history.labels,
      ratePerSecond: options.live ? undefined : options.rate,
      limitMs: undefined,
      historyFromMs: originMs,
    }
  }
  if (options.live) yield livePart(simulator, options, options.history ? originMs : null, pending)
}

/** `originMs`: the origin of the history before it; null without one. */
function livePart(
  simulator: Simulator,
  options: SimulateOptions,
  originMs: number | null,
  pending: readonly SimulatedEvent[],
): Part {
  const { choice, liveEvents, seed, keepTime } = options
  const startMs = Date.now()
  const range = { epochMs: simulator.epochMs, lengthMs: simulator.days(choice) * dayMs }
  return {
    label: 'live',
    events: simulator.live({
      ...{ choice, seed, pending },
      idPrefix: `${options.idPrefix}live-${startMs.toString(36)}-`,
      originMs: originMs ?? originEndingAt(startMs, range, keepTime),
      nowMs: () => Date.now(),
      labelDelayMs: options.liveLabelDelayMs,
      ...(liveEvents === undefined ? {} : { limit: liveEvents }),
    }),
    total: null,
    ratePerSecond: options.rate ?? liveRatePerSecond,
    limitMs: options.liveForMs,
    // Labels of the history that became known while no simulator ran.
    historyFromMs: originMs ?? undefined,
  }
}

async function run(part: Part, sink: Sink, options: SimulateOptions, stop: AbortSignal): Promise<StreamSummary> {
  const write = (text: string) => process.stderr.write(text)
  const tty = process.stderr.isTTY
  const colour = tty && (process.env['NO_COLOR'] ?? '') === ''
  const { label, total, limitMs } = part
  const display = options.quiet
    ? null
    : new ProgressDisplay({ write, tty, colour, nowMs: () => performance.now(), label, total })
  const signal = limitMs === undefined ? stop : withTimeLimit(stop, limitMs)
  const summary = await streamEvents(part.events, sink.publish, {
    topic: sink.topic,
    scoredTypes: sink.scoredTypes,
    partitions: sink.partitions,
    batchRecords: options.batchRecords,
    inFlightMax: sink.inFlightMax,
    ...(part.ratePerSecond === undefined ? {} : { ratePerSecond: part.ratePerSecond }),
    ...(part.historyFromMs === undefined ? {} : { historyFromMs: part.historyFromMs }),
    signal,
    onProgress: (progress) => display?.update(progress.published, progress.retries),
  })
  display?.end(summary.published, summary.retries)
  return summary
}

/** Writes lines in one lane, so that they are in time order; a reader that leaves stops the stream. */
function lineSink(output: LineOutput, stop: AbortController, scoredTypes: ReadonlySet<string>): Sink {
  return {
    scoredTypes,
    topic: '',
    partitions: 1,
    inFlightMax: 1,
    publish: async (records) => {
      const lines = records.map((record) => `${String(record.value)}\n`).join('')
      if (!(await output.write(lines))) stop.abort()
    },
    close: () => Promise.resolve(),
  }
}

async function logSink(options: SimulateOptions, scoredTypes: ReadonlySet<string>): Promise<Sink> {
  const config = readConfig(process.env)
  const log = await openLog(config)
  const { events } = names(config).topics
  await log.createTopic({
    topic: events,
    partitions: config.PARTITIONS,
    replicationFactor: config.REPLICATION_FACTOR,
    retentionMs: config.RETENTION_MS,
    retentionBytes: config.RETENTION_BYTES,
    maxRecordBytes,
  })
  return {
    scoredTypes,
    topic: events,
    partitions: config.PARTITIONS,
    inFlightMax: options.inFlightMax,
    publish: (records) => log.publish(records),
    close: () => log.close(),
  }
}

/** Loads a log's client only when needed: text output must not wait for it. */
async function openLog(config: Config): Promise<EventLog> {
  const composition: string = '../src/app/installation/servers/event-log.ts'
  const { openEventLog } = (await import(composition)) as { openEventLog: (config: Config) => Promise<EventLog> }
  return openEventLog(config)
}

function summaryOf(summaries: readonly StreamSummary[], startMs: number, stopped: boolean) {
  const sum = (name: 'published' | 'scored' | 'labels' | 'retries') => summaries.reduce((n, s) => n + s[name], 0)
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return {
    published: sum('published'),
    scored: sum('scored'),
    labels: sum('labels'),
    retries: sum('retries'),
    seconds: Math.round(performance.now() - startMs) / 1000,
    firstEventTime: iso(summaries[0]?.firstEventMs ?? null),
    lastEventTime: iso(summaries.at(-1)?.lastEventMs ?? null),
    /** A signal stopped it; the end of --live-for does not count. */
    stopped,
  }
}

main().catch((error: unknown) => {
  const text = error instanceof RiverbankError ? `${error.code}: ${error.message}` : String(error)
  process.stderr.write(`simulate: ${text}\n`)
  const isWronglyCalled = isProjectError(error) || isRiverbankError(error, 'project_without_simulator')
  process.exitCode = isWronglyCalled ? 2 : 1
})
