import { eventsAfter, newestEventIds } from './resume.ts'
import { unread } from './catch-up.ts'
import { Estimate } from './estimate.ts'
import { daysInGoodTime, historyDaysMax } from './history-days.ts'
import { say, screen } from './say.ts'
import type { Demo } from './run.ts'
import { history, historyLength, pendingLabels } from '../simulator/history.ts'
import type { LabelEvent } from '../simulator/payment-events.ts'
import { generatePayments, paymentsFromDay, type PaymentColumns } from '../simulator/payments.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { datasetEpochMs, originEndingAt } from '../simulator/time-axis.ts'
import { names } from '../../src/app/installation/config.ts'
import { dayMs } from '../../src/base/units.ts'

const labelDelayMs = 7 * dayMs
const progressEveryMs = 500

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
  const { columns, days } = columnsOf(demo)
  // A counted run keeps the data's own time: every label is then in the past, and equal runs give equal events.
  const originMs =
    record.originMs ?? (options.exit === true ? datasetEpochMs : originEndingAt(Date.now(), columns.endSecond, 'day'))
  const labelsBeforeMs = options.exit === true ? Infinity : Date.now()
  const historyOptions = { originMs, labelDelayMs, labelsBeforeMs, currency: config.CURRENCY }
  const pending = options.exit === true ? [] : pendingLabels(columns, historyOptions)
  const labels = historyLength(columns, historyOptions) - columns.length
  const fed = { payments: columns.length, labels, originMs, pending, startedMs }
  if (record.fed) return fed
  installation.remember({ ...record, originMs, days })
  const { events: topic } = names(config).topics
  const newest = await newestEventIds(log, topic, ending)

  const total = columns.length + labels
  say(`history: ${columns.length} payments${days === null ? '' : ` of ${days} days`} and ${labels} labels`)
  const progress = showProgress(demo, total)
  const events = eventsAfter(history(columns, historyOptions), newest, config.PARTITIONS)
  const summary = await streamEvents(events, (records) => log.publish(records), {
    topic,
    partitions: config.PARTITIONS,
    batchRecords: 500,
    inFlightMax: config.PARTITIONS,
    historyFromMs: originMs,
    signal: ending,
    onProgress: ({ published }) => {
      progress.sent = published
    },
  }).finally(() => progress.stop())
  if (summary.kind === 'stopped') throw ending.reason
  installation.remember({ ...record, originMs, days, fed: true })
  return fed
}

/** Days: null where payments were counted. */
function columnsOf({ options, installation }: Demo): { columns: PaymentColumns; days: number | null } {
  if (options.events !== undefined) return { columns: generatePayments({ limit: options.events }), days: null }
  say('simulating payments')
  const startedMs = performance.now()
  const all = generatePayments({ toDay: historyDaysMax })
  const suited = daysInGoodTime(performance.now() - startedMs)
  const days = Math.min(historyDaysMax, options.days ?? installation.record.days ?? suited)
  if (days < historyDaysMax && options.days === undefined) {
    say(
      `this machine is slow just now: ${days} days of history instead of ${historyDaysMax} (all of them: --days ${historyDaysMax})`,
    )
  }
  return { columns: paymentsFromDay(all, historyDaysMax - days), days }
}

/** How much of what was sent is scored, until it is stopped. */
function showProgress({ installation, log }: Demo, total: number): { sent: number; stop(): void } {
  const { topics, groups } = names(installation.config)
  const estimate = new Estimate(total)
  const shown = { sent: 0, stop: () => clearInterval(timer) }
  const show = async (): Promise<void> => {
    const left = await unread(log, groups.process, [topics.events])
    const scored = Math.max(0, shown.sent - left)
    screen.show(`history: ${estimate.describe(scored, 'scored')}`)
  }
  const timer = setInterval(() => void show().catch(() => undefined), progressEveryMs)
  return shown
}
