import { defaultSettings } from '../features/settings.ts'
import type { Config } from '../src/app/installation/config.ts'
import { names, readConfig } from '../src/app/installation/config.ts'
import { RiverbankError } from '../src/base/errors.ts'
import type { EventLog } from '../src/ports/log.ts'
import { canonicalLines } from './simulator/canonical-lines.ts'
import { parseSimulate, type SimulateOptions } from './simulator/command.ts'
import { history, historyEndMs, historyLength, pendingLabels, type HistoryOptions } from './simulator/history.ts'
import { LineOutput } from './simulator/line-output.ts'
import { liveTraffic } from './simulator/live-traffic.ts'
import type { LabelEvent, SimulatedEvent } from './simulator/payment-events.ts'
import { generatePayments, worldOf, type PaymentColumns } from './simulator/payments.ts'
import { generatePopulation } from './simulator/population.ts'
import { ProgressDisplay } from './simulator/progress-display.ts'
import type { Publish } from './simulator/publish-lane.ts'
import { streamEvents, type StreamSummary } from './simulator/stream-events.ts'
import { datasetEpochMs, originEndingAt } from './simulator/time-axis.ts'
import { withTimeLimit } from './simulator/time-limit.ts'

const liveRatePerSecond = 20
/** Kafka applies it to what one request brings to a partition, which is a whole batch. */
const maxRecordBytes = 1_048_576

/** Where events go, and in how many ordered lanes. */
interface Sink {
  readonly topic: string
  readonly partitions: number
  readonly inFlightMax: number
  readonly publish: Publish
  close(): Promise<void>
}

/** One stream to publish: the history, or what happens live. */
interface Part {
  readonly label: string
  readonly events: Iterable<SimulatedEvent>
  readonly total: number | null
  readonly ratePerSecond: number | undefined
  readonly limitMs: number | undefined
  /** No event of it is older. */
  readonly historyFromMs: number | undefined
}

async function main(): Promise<void> {
  const options = parseSimulate(process.argv.slice(2))
  const output = new LineOutput(process.stdout)
  if (options.canonical) {
    for (const block of canonicalLines(columnsOf(options))) if (!(await output.write(block))) return
    return
  }
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  const sink = options.to === 'log' ? await logSink(options) : lineSink(output, stop)
  try {
    const startMs = performance.now()
    const summaries: StreamSummary[] = []
    for (const part of partsOf(options)) {
      if (stop.signal.aborted) break
      summaries.push(await run(part, sink, options, stop.signal))
    }
    if (options.to === 'log')
      await output.write(`${JSON.stringify(summaryOf(summaries, startMs, stop.signal.aborted))}\n`)
  } finally {
    await sink.close()
  }
}

function columnsOf(options: SimulateOptions): PaymentColumns {
  const { fromDay, toDay, events } = options
  return generatePayments({
    ...worldOf(options),
    fromDay,
    ...(toDay === undefined ? {} : { toDay }),
    ...(events === undefined ? {} : { limit: events }),
  })
}

function* partsOf(options: SimulateOptions): Generator<Part> {
  const currency = options.to === 'log' ? readConfig(process.env).CURRENCY : defaultSettings.CURRENCY
  const nowMs = Date.now()
  const end = options.end ?? (options.live ? 'now' : undefined)
  let originMs = datasetEpochMs
  let pending: LabelEvent[] = []
  if (options.history) {
    const columns = columnsOf(options)
    if (end !== undefined) originMs = originEndingAt(end === 'now' ? nowMs : end, columns.endSecond, options.keepTime)
    const historyOptions: HistoryOptions = {
      originMs,
      idPrefix: options.idPrefix,
      currency,
      labelDelayMs: options.labelDelayMs,
      // A label is news of its moment: none may come before it, whatever was asked for.
      labelsBeforeMs: Math.min(options.labelsUntil === 'all' ? Infinity : historyEndMs(columns, originMs), nowMs + 1),
    }
    if (options.live) pending = pendingLabels(columns, historyOptions)
    yield {
      label: 'history',
      events: history(columns, historyOptions),
      total: historyLength(columns, historyOptions),
      ratePerSecond: options.live ? undefined : options.rate,
      limitMs: undefined,
      historyFromMs: originMs,
    }
  }
  if (!options.live) return
  const world = worldOf(options)
  const { liveEvents } = options
  const startMs = Date.now()
  if (!options.history) originMs = originEndingAt(startMs, world.days * 86_400, options.keepTime)
  yield {
    label: 'live',
    events: liveTraffic({
      world,
      population: generatePopulation(world),
      seed: options.seed,
      idPrefix: `${options.idPrefix}live-${startMs.toString(36)}-`,
      currency,
      originMs,
      nowMs: () => Date.now(),
      labelDelayMs: options.liveLabelDelayMs,
      pending,
      ...(liveEvents === undefined ? {} : { payments: liveEvents }),
    }),
    total: null,
    ratePerSecond: options.rate ?? liveRatePerSecond,
    limitMs: options.liveForMs,
    // Labels of the history that became known while nobody ran.
    historyFromMs: options.history ? originMs : undefined,
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

/** One lane, so that lines are in time order; a reader that leaves stops the stream. */
function lineSink(output: LineOutput, stop: AbortController): Sink {
  return {
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

async function logSink(options: SimulateOptions): Promise<Sink> {
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
    topic: events,
    partitions: config.PARTITIONS,
    inFlightMax: options.inFlightMax,
    publish: (records) => log.publish(records),
    close: () => log.close(),
  }
}

/** Loaded only when needed: text output must not wait for the clients of a log. */
async function openLog(config: Config): Promise<EventLog> {
  const composition: string = '../src/app/installation/event-log.ts'
  const { openEventLog } = (await import(composition)) as { openEventLog: (config: Config) => Promise<EventLog> }
  return openEventLog(config)
}

function summaryOf(summaries: readonly StreamSummary[], startMs: number, stopped: boolean) {
  const sum = (name: 'published' | 'payments' | 'labels' | 'retries') => summaries.reduce((n, s) => n + s[name], 0)
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return {
    published: sum('published'),
    payments: sum('payments'),
    labels: sum('labels'),
    retries: sum('retries'),
    seconds: Math.round(performance.now() - startMs) / 1000,
    firstEventTime: iso(summaries[0]?.firstEventMs ?? null),
    lastEventTime: iso(summaries.at(-1)?.lastEventMs ?? null),
    /** By a signal; reaching --live-for is an end like any other. */
    stopped,
  }
}

main().catch((error: unknown) => {
  const text = error instanceof RiverbankError ? `${error.code}: ${error.message}` : String(error)
  process.stderr.write(`simulate: ${text}\n`)
  process.exitCode = 1
})
