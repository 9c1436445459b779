import { setTimeout as delay } from 'node:timers/promises'
import { isPayment, type SimulatedEvent } from '../../features/simulator/payment-events.ts'
import { PublishLane, type Publish } from '../simulator/publish-lane.ts'
import { encodeEvent, structuredHeaders } from '../../src/events/event.ts'
import { partitionOf } from '../../src/events/partitioner.ts'

export interface OpenLoopOptions {
  readonly topic: string
  readonly partitions: number
  readonly ratePerSecond: number
  readonly signal: AbortSignal
  /** Called before a payment is published, with the time at which the schedule wanted it: `performance.now()`. */
  readonly onIntended: (payment: SimulatedEvent, intendedMs: number) => void
}

/** Between two looks at the schedule: an event leaves at most so much too late on an idle machine. */
const tickMs = 1
/** A lane never refuses an event: the schedule goes on while a log stands still. */
const laneRecordsMax = 1_000_000
const retry = { baseDelayMs: 20, maxDelayMs: 1_000, giveUpMs: 20_000 } as const
const timer = {
  nowMs: () => performance.now(),
  sleep: (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal }).catch(() => undefined),
}

/**
 * Publishes the n-th payment `n / rate` after the start, whatever became of those before: a stall delays every payment
 * behind it, and a time that counts from the schedule says so. A loop that waits for its answers would send less
 * during a stall, and hide it ("coordinated omission"). Labels go along.
 */
export async function openLoop(
  events: Iterable<SimulatedEvent>,
  publish: Publish,
  { topic, partitions, ratePerSecond, signal, onIntended }: OpenLoopOptions,
): Promise<void> {
  const failed = new AbortController()
  const ending = AbortSignal.any([signal, failed.signal])
  const lanes = Array.from({ length: partitions }, () => {
    const onFailure = (error: unknown) => failed.abort(error)
    const nothing = () => undefined
    const limits = { batchRecords: laneRecordsMax, eager: true, retry, timer, signal: ending }
    return new PublishLane({ publish, ...limits, onSent: nothing, onRetry: nothing, onFailure })
  })
  const startMs = performance.now()
  let payments = 0
  for (const event of events) {
    const intendedMs = startMs + (payments * 1_000) / ratePerSecond
    while (performance.now() < intendedMs) {
      for (const lane of lanes) lane.flush()
      await delay(tickMs)
      ending.throwIfAborted()
    }
    if (isPayment(event)) {
      payments += 1
      onIntended(event, intendedMs)
    }
    lanes[partitionOf(event.aggregateId, partitions)]?.add({
      ...{ topic, key: event.aggregateId, value: encodeEvent(event), headers: structuredHeaders },
    })
  }
  await Promise.all(lanes.map((lane) => lane.drain()))
  ending.throwIfAborted()
}
