import type { Installation } from './installation.ts'
import { untilDone, type Stage } from './progress.ts'
import { history } from '../../features/simulator/history.ts'
import { datasetEpochMs, isPayment, scoredTypes, type SimulatedEvent } from '../../features/simulator/payment-events.ts'
import { generatePayments } from '../../features/simulator/payments.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { originEndingAt } from '../simulator/time-axis.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import { dayMs } from '../../src/base/units.ts'

export const labelDelayMs = 7 * dayMs

/** The payments and labels of the published data set, shifted to end today, taken in pieces. */
export interface Feed {
  readonly originMs: number
  /** The next so many payments, and the labels between them. */
  take(payments: number): Iterable<SimulatedEvent>
}

/** `payments`: the number that all pieces take together. */
export function openFeed(payments: number): Feed {
  const columns = generatePayments({ limit: payments })
  const originMs = originEndingAt(Date.now(), { epochMs: datasetEpochMs, lengthMs: columns.endSecond * 1_000 }, 'day')
  const events = history(columns, { originMs, labelDelayMs, labelsBeforeMs: Date.now() })
  return {
    originMs,
    // Not for-of, which would close the history with its first piece.
    *take(wanted) {
      for (let taken = 0; taken < wanted;) {
        const next = events.next()
        if (next.done === true) return
        if (isPayment(next.value)) taken += 1
        yield next.value
      }
    },
  }
}

/** Publishes as fast as the log takes it; answers the number of events. */
export async function publishAll(
  { config, log }: Installation,
  events: Iterable<SimulatedEvent>,
  signal: AbortSignal,
  topic: string = names(config).topics.events,
): Promise<number> {
  const summary = await streamEvents(events, (records) => log.publish(records), {
    topic,
    scoredTypes,
    partitions: config.PARTITIONS,
    batchRecords: 500,
    inFlightMax: config.PARTITIONS,
    historyFromMs: datasetEpochMs,
    signal,
  })
  signal.throwIfAborted()
  return summary.published
}

/** Publishes the next so many payments and waits until all events have reached the stage. */
export async function feedHistory(
  installation: Installation,
  feed: Feed,
  payments: number,
  signal: AbortSignal,
  stage: Stage = 'materialized',
): Promise<void> {
  await publishAll(installation, feed.take(payments), signal)
  await untilDone(installation, stage, signal)
}
