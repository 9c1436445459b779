import { feedHistory, openFeed, publishAll } from './feed.ts'
import { FloorProgram } from './floor/program.ts'
import type { Installation } from './installation.ts'
import { openLiveFeed, type LiveFeed } from './live-feed.ts'
import type { Metric } from './measurement.ts'
import { openLoop } from './open-loop.ts'
import type { Place } from './place.ts'
import { untilDone } from './progress.ts'
import { eachRound, sized, type Run } from './run.ts'
import { ScoreWatch } from './score-watch.ts'
import { riverbankIn, type Subject } from './subject.ts'
import { names } from '../../src/app/installation/settings/config.ts'

/** Payments a second: of a small bank, of a large one, and shares of what this machine can do. */
const rates = [200, 1_000] as const
const shares = [0.5, 0.8] as const
/** The p99 of the floor's own, at half of the capacity. */
const goal = { kind: 'below', value: 3 } as const
/** Milliseconds at the 99th percentile, at 1,000 payments a second. */
const goalMs = { kind: 'below', value: 50 } as const
const warmUpSeconds = 2
/** The limit from the last payment to the last score. */
const answerMs = 20_000
const percentiles = [50, 99, 99.9, 100] as const

/**
 * Measures the time from the moment at which a payment should have been sent to the read of its score, in one client
 * process, at steady rates (open loop). The processor runs alone, and the floor beside it is measured in turn at the
 * same rates: two shares of the capacity are those of the processor in this run.
 */
export function benchLatency(run: Run, place: Place): Promise<void> {
  return place.within({ roles: ['process'] }, async (installation) => {
    const warmUp = Math.ceil(run.payments / 4)
    const feed = openFeed(2 * warmUp + run.payments)
    await feedHistory(installation, feed, warmUp, run.signal, 'scored')
    const startedMs = performance.now()
    await publishAll(installation, feed.take(run.payments), run.signal)
    await untilDone(installation, 'scored', run.signal)
    const capacity = run.payments / ((performance.now() - startedMs) / 1_000)
    run.record(metricOf(installation, 'capacity', 'payments/s'), capacity)
    const live = openLiveFeed(feed.originMs)
    const floor = await FloorProgram.start(installation)
    try {
      await floor.handle(feed.take(warmUp), run.signal)
      const subjects = [riverbankIn(installation), bareIn(installation, floor)]
      const asked = [
        ...rates.map((rate) => ({ name: `${rate}/s`, rate })),
        ...shares.map((share) => ({ name: `${share * 100} % of capacity`, rate: Math.round(share * capacity) })),
      ]
      for (const { name, rate } of sized(run, asked, asked.slice(0, 1))) {
        await eachRound(run, `latency on ${place.driver}, ${rate} payments/s`, async (round) => {
          const p99s: number[] = []
          for (const subject of subjects) {
            const watch = await measure(run, installation, live, subject, rate, round)
            report(run, installation, `${name}, ${subject.name}`, watch, rate)
            p99s.push(watch.waits.getValueAtPercentile(99))
          }
          const ratio = metricOf(installation, `${name}, p99 of the floor's`, 'ratio')
          const isJudged = name.startsWith('50 %')
          run.record(isJudged ? { ...ratio, goal } : ratio, (p99s[0] ?? NaN) / (p99s[1] ?? NaN))
        })
      }
    } finally {
      await floor.stop()
    }
  })
}

function metricOf({ driver }: Installation, name: string, unit: string): Metric {
  return { benchmark: 'latency', driver, name, unit }
}

function bareIn({ config }: Installation, floor: FloorProgram): Subject {
  const follow: Subject['follow'] = (take) => floor.follow(take)
  return { name: 'floor', topic: names(config).topics.events, publish: floor.publish, follow }
}

async function measure(
  run: Run,
  { config }: Installation,
  live: LiveFeed,
  { name, topic, publish, follow }: Subject,
  rate: number,
  round: number,
): Promise<ScoreWatch> {
  const warmUp = Math.ceil(rate * sized(run, warmUpSeconds, 0.2))
  const payments = live({
    ...{ seed: round, idPrefix: `bench-${name}-${rate}-${round}-`, payments: warmUp + rate * run.seconds },
  })
  const watch = new ScoreWatch(warmUp)
  const stop = await follow(watch.take)
  try {
    await openLoop(payments, publish, {
      ...{ topic, partitions: config.PARTITIONS, ratePerSecond: rate, signal: run.signal },
      onIntended: ({ eventId }, intendedMs) => watch.intended(eventId, intendedMs),
    })
    await watch.untilAnswered(answerMs, run.signal)
  } finally {
    await stop()
  }
  return watch
}

function report(run: Run, installation: Installation, name: string, { waits }: ScoreWatch, rate: number): void {
  for (const percentile of percentiles) {
    const metric = metricOf(installation, `${name}, ${percentile === 100 ? 'max' : `p${percentile}`}`, 'ms')
    const isJudged =
      percentile === 99 && rate === 1_000 && installation.driver === 'redis' && name.includes('Riverbank')
    run.record(isJudged ? { ...metric, goal: goalMs } : metric, waits.getValueAtPercentile(percentile) / 1_000)
  }
}
