import { eventsAfter, newestEventIds } from './resume.ts'
import { daysInGoodTime, historyDaysMax } from './history-days.ts'
import { say, screen } from './say.ts'
import { showProgress } from './progress.ts'
import { defaultChoice } from '../project.ts'
import type { SimulatedDemo } from './run.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { originEndingAt } from '../simulator/time-axis.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import type { SimulatedEvent, SimulatedEvents, SimulatedHistory } from '../../src/define/simulator.ts'

export interface Fed {
  /** Events that are scored. */
  readonly scored: number
  readonly labels: number
  /** All events of the history: also those that are neither, such as changes of a state. */
  readonly sent: number
  readonly originMs: number
  /** Labels that become known later. */
  readonly pending: readonly SimulatedEvent[]
  /** When the first event was sent, milliseconds on the clock of `performance.now`. */
  readonly startedMs: number
}

/** Streams the history as fast as the log takes it. An interrupted feed goes on after the events that the log has. */
export async function feedHistory(demo: SimulatedDemo): Promise<Fed> {
  const { options, installation, log, ending, simulator, scoredTypes } = demo
  const { config, record } = installation
  const startedMs = performance.now()
  const { drawn, days } = draw(demo)
  const { epochMs, labelDelayMs } = simulator
  const range = { epochMs, lengthMs: drawn.endMs }
  // A counted run keeps the data's own time: every label is then in the past, and equal runs give equal events.
  const originMs = record.originMs ?? (options.exit === true ? epochMs : originEndingAt(Date.now(), range, 'day'))
  const labelsBeforeMs = options.exit === true ? Infinity : Date.now()
  const history = drawn.placed({ originMs, idPrefix: '', labelDelayMs, labelsBeforeMs })
  const { labels, pending } = history
  const fed = { scored: drawn.scored, labels, originMs, pending, startedMs }
  if (record.fed) return { ...fed, sent: record.sent ?? drawn.scored + labels }
  installation.remember({ ...record, originMs, days })
  const { topics, groups } = names(config)
  const { events: topic } = topics
  const newest = await newestEventIds(log, topic, ending)

  const total = drawn.scored + labels
  say(`history: ${drawn.scored} ${demo.samples.scored}${days === null ? '' : ` of ${days} days`} and ${labels} labels`)
  const progress = showProgress(log, { group: groups.process, topic, total, show: (text) => screen.show(text) })
  const whole = new CountedEvents(history.events)
  const events = eventsAfter(whole, newest, config.PARTITIONS)
  const summary = await streamEvents(events, (records) => log.publish(records), {
    topic,
    scoredTypes,
    partitions: config.PARTITIONS,
    batchRecords: 500,
    inFlightMax: config.PARTITIONS,
    historyFromMs: originMs,
    signal: ending,
  }).finally(() => progress.stop())
  if (summary.kind === 'stopped') throw ending.reason
  const { sent } = whole
  installation.remember({ ...record, originMs, days, fed: true, sent })
  return { ...fed, sent }
}

/** Counts the events of a history as they are read: a simulator declares only those that are scored, and labels. */
export class CountedEvents {
  sent = 0
  readonly #events: SimulatedEvents

  constructor(events: SimulatedEvents) {
    this.#events = events
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SimulatedEvent> {
    for await (const event of this.#events) {
      this.sent += 1
      yield event
    }
  }
}

/** Draws the history to feed. Days: null if the run counts events. */
function draw({ options, installation, simulator, samples }: SimulatedDemo): {
  drawn: SimulatedHistory
  days: number | null
} {
  const choice = defaultChoice(simulator)
  if (options.events !== undefined) {
    return { drawn: simulator.draw({ choice, fromDay: 0, limit: options.events }), days: null }
  }
  say(`simulating ${samples.scored}`)
  const most = Math.min(historyDaysMax, simulator.days(choice))
  const startedMs = performance.now()
  const all = simulator.draw({ choice, fromDay: 0, toDay: most })
  const suited = daysInGoodTime(performance.now() - startedMs)
  const days = Math.min(most, options.days ?? installation.record.days ?? suited)
  if (days < most && options.days === undefined) {
    say(`this machine is slow just now: ${days} days of history instead of ${most} (all of them: --days ${most})`)
  }
  return { drawn: all.fromDay(most - days), days }
}
