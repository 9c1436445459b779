import type { Contestant, Place } from './contestant.ts'
import { recordsIn, untilQuiet, untilWritten } from './topics.ts'
import { publishAll } from '../feed.ts'
import { cpuSeconds } from '../cpu.ts'
import { resident } from '../memory.ts'
import type { Metric } from '../measurement.ts'
import { eachRound, type Run } from '../run.ts'
import type { SimulatedEvent } from '../../../features/simulator/payment-events.ts'

/** Payments before any clock starts: they fill the longest window. */
export const warmUpPayments = 30_000
/**
 * Payments after those of a round: a program that waits for watermarks answers a payment when a later one is there. No
 * clock runs for their answers.
 */
export const tailPayments = 200

export interface StreamOptions {
  readonly run: Run
  readonly place: Place
  readonly brokerPid: number
  readonly contestants: readonly Contestant[]
  /** The next so many payments. */
  readonly take: (payments: number) => SimulatedEvent[]
}

/**
 * Publishes the same payments to the topic of each contestant, one contestant after the other, and counts from the
 * first publish until the record of the last payment is in each output topic. All stay running; each round begins with
 * another one.
 */
export async function benchStreams(options: StreamOptions): Promise<void> {
  const { run, contestants, take } = options
  let published = 0
  const next = (payments: number) => {
    const events = take(payments + tailPayments)
    published += events.length
    return events
  }
  const warmUp = next(warmUpPayments)
  for (const contestant of contestants) {
    run.say(`${contestant.name}: ${warmUp.length} payments to warm up`)
    await handle(options, contestant, warmUp, published - tailPayments, () => Promise.resolve())
  }
  await eachRound(run, `streams, ${run.payments} payments`, async (round) => {
    const events = next(run.payments)
    for (const index of contestants.keys()) {
      const contestant = contestants[(index + round - 1) % contestants.length]
      if (contestant !== undefined) await measure(options, contestant, events, published - tailPayments)
    }
  })
  for (const contestant of contestants) await recordEnd(options, contestant, published)
}

async function recordEnd({ run, place }: StreamOptions, contestant: Contestant, published: number): Promise<void> {
  run.record(metricOf(contestant, 'payments in', 'payments'), published)
  for (const { topic } of contestant.outputs) {
    const records = await recordsIn(place.installation, topic)
    run.record(metricOf(contestant, `records out, ${lastPart(topic)}`, 'records'), records)
  }
  for (const [name, mb] of await resident(contestant.pids())) {
    run.record(metricOf(contestant, `resident, ${name}`, 'MB'), mb)
  }
}

/** The last part of a topic's name: the contestant's own name for it. */
export function lastPart(topic: string): string {
  return topic.slice(topic.lastIndexOf('.') + 1)
}

export function metricOf(contestant: Contestant, name: string, unit: string): Metric {
  return { benchmark: 'peers', driver: 'kafka', name: `${contestant.name}: ${name}`, unit }
}

async function measure(
  options: StreamOptions,
  contestant: Contestant,
  events: readonly SimulatedEvent[],
  records: number,
): Promise<void> {
  const { run, brokerPid } = options
  const pids = new Map([...contestant.pids(), ['broker', brokerPid], ['publisher', process.pid]])
  const before = await cpuSeconds(pids)
  const startedMs = performance.now()
  const rate = () => run.payments / ((performance.now() - startedMs) / 1_000)
  const onPublished = () => run.record(metricOf(contestant, 'published', 'payments/s'), rate())
  const after = await handle({ ...options, onPublished }, contestant, events, records, () => {
    run.record(metricOf(contestant, 'rate', 'payments/s'), rate())
    return cpuSeconds(pids)
  })
  for (const [name, used] of after) {
    const us = ((used - (before.get(name) ?? 0)) * 1e6) / run.payments
    run.record(metricOf(contestant, `processor time, ${name}`, 'µs/payment'), us)
  }
}

interface HandleOptions extends StreamOptions {
  /** A program whose rate is close to that of publishing could handle more. */
  readonly onPublished?: () => void
}

/** Hands the events to a contestant; `atEnd` runs at the moment when so many records are in each of its outputs. */
async function handle<Answer>(
  { run, place: { installation }, onPublished }: HandleOptions,
  contestant: Contestant,
  events: readonly SimulatedEvent[],
  records: number,
  atEnd: () => Promise<Answer>,
): Promise<Answer> {
  await publishAll(installation, events, run.signal, contestant.input)
  onPublished?.()
  await untilWritten(installation, contestant, records, run.signal)
  const answer = await atEnd()
  await untilQuiet(installation, contestant)
  return answer
}
