import { setTimeout as delay } from 'node:timers/promises'
import { encodeEvent, structuredHeaders } from '../../src/events/event.ts'
import { historyHeader } from '../../src/events/event-time.ts'
import { partitionOf } from '../../src/events/partitioner.ts'
import type { SimulatedEvent, SimulatedEvents } from '../../src/define/simulator.ts'
import { Pace } from './pace.ts'
import { PublishLane, type Publish, type RetryOptions, type Timer } from './publish-lane.ts'

export interface StreamOptions {
  readonly topic: string
  /** The partitions of the topic: the events of one partition stay in order. */
  readonly partitions: number
  readonly batchRecords: number
  /** Batches in flight at the same time; never two of one partition. */
  readonly inFlightMax: number
  /** Marks the events as history from this time on, which the processor then accepts; without it they are of today. */
  readonly historyFromMs?: number
  /** The scored types of events: the others are labels. */
  readonly scoredTypes: ReadonlySet<string>
  /** Scored events per second, spread evenly; labels come on top. Without it as fast as the log takes them. */
  readonly ratePerSecond?: number
  readonly retry?: RetryOptions
  /** Stops soon: reads no more events, waits for batches in flight, gives up gathered ones. */
  readonly signal?: AbortSignal
  /** Called after every acknowledged batch. */
  readonly onProgress?: (progress: StreamProgress) => void
  readonly timer?: Timer
}

export interface StreamProgress {
  /** Acknowledged events. */
  readonly published: number
  /** Scored events and labels read so far; together they run ahead of `published` by the events in flight. */
  readonly scored: number
  readonly labels: number
  /** The number of retries of batches. */
  readonly retries: number
  readonly lastEventMs: number | null
}

export interface StreamSummary extends StreamProgress {
  /** `stopped`: the signal ended it. */
  readonly kind: 'finished' | 'stopped'
  readonly firstEventMs: number | null
}

const patientRetry: RetryOptions = { baseDelayMs: 20, maxDelayMs: 1_000, giveUpMs: 120_000 }
/** Between two checks of the bucket: short enough for small batches, long enough to leave the machine idle. */
const paceTickMs = 5
const paceTickMaxMs = 1_000
const burstMs = 200

const realTimer: Timer = {
  nowMs: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
}

/**
 * Encodes, batches and publishes events. Reads `events` only as fast as it may publish: live events carry the moment in
 * which they were read. Keeps the order within each partition of the topic, through retries too (a batch that failed
 * may be in the log in part, so retries can repeat records). Rejects with the error that ended the publishing.
 */
export async function streamEvents(
  events: SimulatedEvents,
  publish: Publish,
  options: StreamOptions,
): Promise<StreamSummary> {
  const { topic, partitions, ratePerSecond, onProgress } = options
  const timer = options.timer ?? realTimer
  const headers = headersOf(options.historyFromMs)
  const failed = new AbortController()
  const signal = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])])
  const stopped = () => signal.aborted
  const counts = { published: 0, scored: 0, labels: 0, retries: 0, lastEventMs: null as number | null }
  let firstEventMs: number | null = null
  const lanes = Array.from(
    { length: Math.max(1, Math.min(options.inFlightMax, partitions)) },
    () =>
      new PublishLane({
        publish,
        batchRecords: options.batchRecords,
        eager: ratePerSecond !== undefined,
        retry: options.retry ?? patientRetry,
        timer,
        signal,
        onSent: (records) => {
          counts.published += records
          onProgress?.({ ...counts })
        },
        onRetry: () => (counts.retries += 1),
        // The first failure counts; those of other lanes follow from it.
        onFailure: (error) => failed.abort(error),
      }),
  )
  const laneOf = (key: string) => lanes[partitionOf(key, partitions) % lanes.length] as PublishLane
  const pace = ratePerSecond === undefined ? null : new Pace(ratePerSecond, burstMs, timer.nowMs())
  const iterator = iteratorOf(events)
  try {
    while (!stopped()) {
      const waitMs = pace?.waitMs(timer.nowMs()) ?? 0
      if (waitMs > 0) {
        for (const lane of lanes) lane.flush()
        await timer.sleep(Math.min(Math.max(waitMs, paceTickMs), paceTickMaxMs), signal)
        continue
      }
      const step = iterator.next()
      const next = step instanceof Promise ? await step : step
      if (next.done === true) break
      const event = next.value
      const lane = laneOf(event.aggregateId)
      while (lane.full && !stopped()) {
        lane.flush()
        await lane.settled()
      }
      lane.add({ topic, key: event.aggregateId, value: encodeEvent(event), headers })
      if (lane.full) lane.flush()
      firstEventMs ??= event.timestamp
      counts.lastEventMs = event.timestamp
      if (options.scoredTypes.has(event.eventType)) {
        counts.scored += 1
        pace?.take()
      } else counts.labels += 1
    }
  } finally {
    await iterator.return?.()
    await Promise.all(lanes.map((lane) => (stopped() ? lane.settled() : lane.drain())))
  }
  failed.signal.throwIfAborted()
  return { kind: stopped() ? 'stopped' : 'finished', ...counts, firstEventMs }
}

function iteratorOf(events: SimulatedEvents): Iterator<SimulatedEvent> | AsyncIterator<SimulatedEvent> {
  return Symbol.asyncIterator in events ? events[Symbol.asyncIterator]() : events[Symbol.iterator]()
}

function headersOf(historyFromMs: number | undefined): Readonly<Record<string, string>> {
  if (historyFromMs === undefined) return structuredHeaders
  return { ...structuredHeaders, [historyHeader]: new Date(historyFromMs).toISOString() }
}
