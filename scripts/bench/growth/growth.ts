import { growthSizes, shortGrowthSizes, type GrowthPart } from './sizes.ts'
import {
  atTerminal,
  byCustomer,
  crowdOf,
  evenly,
  historyOf,
  mixed,
  traffic,
  wideHistory,
  type Draw,
  type TrafficOptions,
} from './traffic.ts'
import { cpuSeconds } from '../cpu.ts'
import { publishAll } from '../feed.ts'
import type { Installation } from '../installation.ts'
import { median, slope, type Goal, type Metric } from '../measurement.ts'
import { openLoop } from '../open-loop.ts'
import type { Place } from '../place.ts'
import { untilDone } from '../progress.ts'
import { eachRound, sized, type Run } from '../run.ts'
import { ScoreWatch } from '../score-watch.ts'
import { riverbankIn } from '../subject.ts'

/** Where a question asks about another size. */
const usualEntities = 10_000
const terminalsOfWide = 30_000
/** Payments a second at which latency is measured: every size can score more. */
const rate = 500
const answerMs = 20_000
/** A processor of which V8 has compiled everything that matters. */
const warmPayments = 50_000
const hotGoal = { kind: 'above', value: 0.9 } as const

/** Measured on one installation, in turn in each round. */
interface Case {
  readonly name: string
  readonly draw: Draw
}

interface Costs {
  readonly rate: number[]
  readonly processUs: number[]
}

/**
 * Measures how throughput, processor time and latency of one processor grow with the number of entities, the days of
 * their history, and partitions; and what a hot terminal and a customer of many terminals cost. Payments fall on all
 * pairs alike, so that a cache helps less than with real ones.
 */
export async function benchGrowth(run: Run, place: Place): Promise<void> {
  const sizes = sized(run, run.growth ?? growthSizes, shortGrowthSizes)
  const asks = (part: GrowthPart) => sizes.parts.includes(part)
  if (asks('entities')) {
    await bySize(run, place, 'entities', sizes.entities, (entities) => ({ entities, days: 1, partitions: 4 }))
  }
  if (asks('days')) {
    const entities = sized(run, usualEntities, 100)
    await bySize(run, place, 'days', sizes.days, (days) => ({ entities, days, partitions: 4 }))
  }
  if (asks('partitions')) {
    const entities = sized(run, usualEntities, 100)
    await bySize(run, place, 'partitions', sizes.partitions, (partitions) => ({ entities, days: 1, partitions }))
  }
  if (asks('hot')) await hotTerminal(run, place)
  if (asks('wide')) await wideCustomer(run, place)
}

interface World {
  readonly entities: number
  readonly days: number
  readonly partitions: number
}

async function bySize(
  run: Run,
  place: Place,
  what: string,
  sizes: readonly number[],
  worldOf: (size: number) => World,
): Promise<void> {
  const points: { readonly x: number; readonly y: number }[] = []
  for (const size of sizes) {
    const { entities, days, partitions } = worldOf(size)
    const crowd = crowdOf(entities)
    const name = `${size.toLocaleString('en')} ${what}`
    const env = { RIVERBANK_PARTITIONS: String(partitions) }
    const [costs] = await place.within({ roles: ['process'], env }, async (installation) => {
      const draw = evenly(crowd, 1)
      await prepare(run, installation, name, historyOf(crowd, days), draw)
      return measureInTurn(run, installation, [{ name, draw }])
    })
    points.push({ x: Math.log10(size), y: Math.log10(median(costs?.processUs ?? [])) })
  }
  if (points.length < 2) return
  const metric = metricOf(place, `${what}: processor time of a payment, for ten times as many`, 'percent more')
  run.record(metric, (10 ** slope(points) - 1) * 100)
}

/** Half of all payments at one terminal. */
async function hotTerminal(run: Run, place: Place): Promise<void> {
  const crowd = crowdOf(sized(run, usualEntities, 100))
  await place.within({ roles: ['process'] }, async (installation) => {
    const base = evenly(crowd, 1)
    await prepare(run, installation, 'hot terminal', historyOf(crowd, 1), base)
    const [even, hot] = await measureInTurn(run, installation, [
      { name: 'evenly', draw: base },
      { name: 'half at one terminal', draw: mixed(base, atTerminal(crowd, 0, 2), 2) },
    ])
    compare(run, metricOf(place, 'half at one terminal, share of the even rate', 'ratio', hotGoal), even, hot)
  })
}

/** A tenth of all payments by a customer that has paid at many terminals. */
async function wideCustomer(run: Run, place: Place): Promise<void> {
  const crowd = crowdOf(sized(run, usualEntities, 100))
  const terminals = sized(run, terminalsOfWide, 200)
  await place.within({ roles: ['process'] }, async (installation) => {
    const base = evenly(crowd, 1)
    await prepare(run, installation, 'wide customer', wideHistory(crowd.customers, terminals), base)
    await prepare(run, installation, 'wide customer beside others', historyOf(crowd, 1), base)
    const many = terminals.toLocaleString('en')
    const [even, wide] = await measureInTurn(run, installation, [
      { name: 'evenly, beside a wide customer', draw: base },
      {
        name: `a tenth by a customer of ${many} terminals`,
        draw: mixed(base, byCustomer(crowd.customers, terminals, 2), 10),
      },
    ])
    compare(
      run,
      metricOf(place, `a tenth by a customer of ${many} terminals, share of the even rate`, 'ratio'),
      even,
      wide,
    )
  })
}

function compare(run: Run, metric: Metric, even: Costs | undefined, other: Costs | undefined): void {
  for (const [round, rate] of (other?.rate ?? []).entries()) run.record(metric, rate / (even?.rate[round] ?? NaN))
}

function metricOf({ driver }: Pick<Place, 'driver'>, name: string, unit: string, goal?: Goal): Metric {
  return { benchmark: 'growth', driver, name, unit, ...(goal === undefined ? {} : { goal }) }
}

/** A history, and payments until every size is measured on a process that is equally warm. */
async function prepare(
  run: Run,
  installation: Installation,
  name: string,
  history: TrafficOptions,
  draw: Draw,
): Promise<void> {
  run.say(`growth, ${name}: ${history.payments} payments of history`)
  await publishAll(installation, traffic(history), run.signal)
  await untilDone(installation, 'scored', run.signal)
  const missing = sized(run, warmPayments, 100) - history.payments
  if (missing <= 0) return
  await publishAll(installation, traffic({ idPrefix: `${name}-warm-`, payments: missing, draw }), run.signal)
  await untilDone(installation, 'scored', run.signal)
}

async function measureInTurn(run: Run, installation: Installation, cases: readonly Case[]): Promise<Costs[]> {
  const costs = cases.map((): Costs => ({ rate: [], processUs: [] }))
  await eachRound(run, `growth, ${cases.map(({ name }) => name).join(' and ')}`, async (round) => {
    for (const [i, one] of cases.entries()) {
      const throughput = await measureThroughput(run, installation, one, round)
      costs[i]?.rate.push(throughput.rate)
      costs[i]?.processUs.push(throughput.processUs)
      await measureLatency(run, installation, one, round)
    }
  })
  return costs
}

async function measureThroughput(run: Run, installation: Installation, { name, draw }: Case, round: number) {
  const metric = (what: string, unit: string) => metricOf(installation, `${name}: ${what}`, unit)
  const pids = installation.pids()
  const before = await cpuSeconds(pids)
  const startedMs = performance.now()
  const events = traffic({ idPrefix: `${name}-${round}-`, payments: run.payments, draw })
  await publishAll(installation, events, run.signal)
  await untilDone(installation, 'scored', run.signal)
  const rate = run.payments / ((performance.now() - startedMs) / 1_000)
  const after = await cpuSeconds(pids)
  const usOf = (process: string) => (((after.get(process) ?? NaN) - (before.get(process) ?? 0)) * 1e6) / run.payments
  const processUs = usOf('process-1')
  run.record(metric('payments a second', 'payments/s'), rate)
  run.record(metric('processor time, process', 'µs/payment'), processUs)
  run.record(metric('processor time, redis', 'µs/payment'), usOf('redis'))
  return { rate, processUs }
}

async function measureLatency(run: Run, installation: Installation, { name, draw }: Case, round: number) {
  const { topic, publish, follow } = riverbankIn(installation)
  const watch = new ScoreWatch(rate)
  const stop = await follow(watch.take)
  try {
    const events = traffic({ idPrefix: `${name}-${round}-live-`, payments: rate * (1 + run.seconds), draw })
    await openLoop(events, publish, {
      ...{ topic, partitions: installation.config.PARTITIONS, ratePerSecond: rate, signal: run.signal },
      onIntended: ({ eventId }, intendedMs) => watch.intended(eventId, intendedMs),
    })
    await watch.untilAnswered(answerMs, run.signal)
  } finally {
    await stop()
  }
  for (const percentile of [50, 99]) {
    const metric = metricOf(installation, `${name}: p${percentile} at ${rate} a second`, 'ms')
    run.record(metric, watch.waits.getValueAtPercentile(percentile) / 1_000)
  }
}
