import { eventsAfter, newestEventIds } from './resume.ts'
import { StatusLine } from './say.ts'
import type { Demo } from './run.ts'
import { history, historyLength, pendingLabels } from '../simulator/history.ts'
import type { LabelEvent } from '../simulator/payment-events.ts'
import { generatePayments, type PaymentColumns } from '../simulator/payments.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { datasetEpochMs, originEndingAt } from '../simulator/time-axis.ts'
import { names } from '../../src/app/config.ts'
import { dayMs } from '../../src/core/units.ts'

/** Without --events: what a terminal's risk needs to know (a week ago, over 30 days) is not all there, but most. */
const historyDays = 30
const labelDelayMs = 7 * dayMs

export interface Fed {
  readonly payments: number
  readonly labels: number
  readonly originMs: number
  /** Labels that become known later. */
  readonly pending: readonly LabelEvent[]
  /** When the first event was on its way, milliseconds on the clock of `performance.now`. */
  readonly startedMs: number
}

/** Streams the history as fast as the log takes it. What was fed before is not fed again: an interrupted feed goes on. */
export async function feedHistory(demo: Demo): Promise<Fed> {
  const { options, installation, log, ending } = demo
  const { config, record } = installation
  const startedMs = performance.now()
  const columns = columnsOf(demo)
  // A counted run keeps the data's own time: every label is then in the past, and equal runs give equal events.
  const originMs =
    record.originMs ?? (options.exit === true ? datasetEpochMs : originEndingAt(Date.now(), columns.endSecond, 'day'))
  const labelsBeforeMs = options.exit === true ? Infinity : Date.now()
  const historyOptions = { originMs, labelDelayMs, labelsBeforeMs }
  const pending = options.exit === true ? [] : pendingLabels(columns, historyOptions)
  const labels = historyLength(columns, historyOptions) - columns.length
  if (record.fed) return { payments: columns.length, labels, originMs, pending, startedMs }
  installation.remember({ ...record, originMs })
  const { events: topic } = names(config).topics
  const newest = await newestEventIds(log, topic, ending)

  const status = new StatusLine()
  const total = columns.length + labels
  const events = eventsAfter(history(columns, historyOptions), newest, config.PARTITIONS)
  const summary = await streamEvents(events, (records) => log.publish(records), {
    topic,
    partitions: config.PARTITIONS,
    batchRecords: 500,
    inFlightMax: config.PARTITIONS,
    historyFromMs: originMs,
    signal: ending,
    onProgress: ({ published }) => {
      status.show(`history: ${published} of ${total} events sent`)
    },
  })
  status.end()
  if (summary.kind === 'stopped') throw ending.reason
  installation.remember({ ...record, originMs, fed: true })
  return { payments: columns.length, labels, originMs, pending, startedMs }
}

function columnsOf({ options }: Demo): PaymentColumns {
  if (options.events !== undefined) return generatePayments({ limit: options.events })
  return generatePayments({ toDay: historyDays })
}
