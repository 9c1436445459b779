import { labelDelayMs, type Feed } from './feed.ts'
import type { Installation } from './installation.ts'
import { quantile, type Metric } from './measurement.ts'
import { eachRound, type Run } from './run.ts'
import { ScoreWatch } from './score-watch.ts'
import { liveTraffic } from '../../features/simulator/live-traffic.ts'
import { scoredTypes, type SimulatedEvent } from '../../features/simulator/payment-events.ts'
import { worldOf } from '../../features/simulator/payments.ts'
import { generatePopulation } from '../../features/simulator/population.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { names } from '../../src/app/installation/settings/config.ts'

const ratesPerSecond = [200, 1_000] as const
/** Milliseconds of the 99th percentile, at the higher rate, on the default driver. */
const goal = { kind: 'below', value: 50 } as const
const warmUpSeconds = 2
/** The limit from the last payment to the last score. */
const answerMs = 20_000

/**
 * Measures the time from publishing a payment to its score, at a steady pace. Twice: by the log's clock, from the
 * append of the payment to that of the score (whole milliseconds); and as a client sees it, from handing the payment to
 * a publisher to reading its score from a subscription in the same process.
 */
export async function benchLatency(run: Run, installation: Installation, feed: Feed): Promise<void> {
  const population = generatePopulation(worldOf({}))
  for (const rate of ratesPerSecond) {
    await eachRound(run, `latency on ${installation.driver}, ${rate} payments/s`, async (round) => {
      const payments = liveTraffic({
        world: worldOf({}),
        population,
        seed: round,
        idPrefix: `bench-${rate}-${round}-`,
        originMs: feed.originMs,
        nowMs: () => Date.now(),
        labelDelayMs,
        payments: rate * (warmUpSeconds + run.seconds),
      })
      const watch = await ScoreWatch.open(installation, rate * warmUpSeconds)
      try {
        await publishAt(rate, installation, watch.noting(payments), run.signal)
        await watch.untilAnswered(answerMs, run.signal)
      } finally {
        await watch.close()
      }
      report(run, installation, rate, watch)
    })
  }
}

async function publishAt(
  ratePerSecond: number,
  { config, log }: Installation,
  events: Iterable<SimulatedEvent>,
  signal: AbortSignal,
): Promise<void> {
  await streamEvents(events, (records) => log.publish(records), {
    topic: names(config).topics.events,
    scoredTypes,
    partitions: config.PARTITIONS,
    batchRecords: 500,
    inFlightMax: config.PARTITIONS,
    ratePerSecond,
    signal,
  })
}

function report(run: Run, { driver }: Installation, rate: number, { logMs, clientMs }: ScoreWatch): void {
  for (const [clock, latencies] of [['log', logMs] as const, ['client', clientMs] as const]) {
    const metric = (name: string): Metric => ({
      benchmark: 'latency',
      driver,
      name: `${rate}/s, ${clock} clock, ${name}`,
      unit: 'ms',
    })
    const isJudged = rate === 1_000 && driver === 'redis'
    run.record(metric('p50'), quantile(latencies, 0.5))
    run.record(isJudged ? { ...metric('p99'), goal } : metric('p99'), quantile(latencies, 0.99))
    run.record(metric('max'), Math.max(...latencies))
  }
}
