import { cpuSeconds } from '../cpu.ts'
import { feedHistory, openFeed, publishAll, type Feed } from '../feed.ts'
import type { Installation } from '../installation.ts'
import type { Goal, Metric } from '../measurement.ts'
import type { Place } from '../place.ts'
import { untilDone } from '../progress.ts'
import { eachRound, type Run } from '../run.ts'
import { FloorProgram } from './program.ts'

const goals = {
  rate: { kind: 'above', value: 0.6 },
  processor: { kind: 'below', value: 1.7 },
  server: { kind: 'below', value: 1.5 },
} as const satisfies Record<string, Goal>

/** Handled events a second, and the processor time of each payment by process: µs. */
interface Measured {
  readonly rate: number
  readonly cpu: ReadonlyMap<string, number>
}

/** Measures the floor of the stream on an installation whose processor has both cores. */
export function benchFloor(run: Run, place: Place): Promise<void> {
  return place.within({ roles: ['process'] }, async (installation) => {
    const warmUp = Math.ceil(run.payments / 4)
    const feed = openFeed(2 * warmUp + run.payments * run.rounds)
    await feedHistory(installation, feed, warmUp, run.signal, 'scored')
    await compareStreams(run, installation, feed, place.brokerPid)
  })
}

/**
 * Measures the processor and a program that does only the work of its libraries, in turn on the same payments. The
 * installation runs only the processor. A rate counts from the first publish to the last handled event; this process
 * publishes for both.
 */
async function compareStreams(run: Run, installation: Installation, feed: Feed, broker: number | null): Promise<void> {
  const { driver } = installation
  const metric = (name: string, unit: string, goal?: Goal): Metric => {
    return { benchmark: 'floor', driver, name, unit, ...(goal === undefined ? {} : { goal }) }
  }
  const floor = await FloorProgram.start(installation)
  try {
    // Both are warm before a clock starts; the feed has warmed the product.
    await floor.handle(feed.take(Math.ceil(run.payments / 4)), run.signal)
    await eachRound(run, `floor on ${driver}, ${run.payments} payments`, async () => {
      const events = [...feed.take(run.payments)]
      const servers = new Map([
        ...(broker === null ? [] : [['broker', broker] as const]),
        ['redis', installation.pids().get('redis') ?? 0],
      ])
      const bare = await measure(run, new Map([...servers, ['processor', floor.pid]]), () =>
        floor.handle(events, run.signal),
      )
      const pids = new Map([...servers, ['processor', installation.pids().get('process-1') ?? 0]])
      const ours = await measure(run, pids, async () => {
        await publishAll(installation, events, run.signal)
        await untilDone(installation, 'scored', run.signal)
      })
      run.record(metric('floor, payments a second', 'payments/s'), bare.rate)
      run.record(metric('Riverbank, payments a second', 'payments/s'), ours.rate)
      run.record(metric("share of the floor's rate", 'ratio', goals.rate), ours.rate / bare.rate)
      for (const [name, us] of bare.cpu) {
        const own = ours.cpu.get(name) ?? NaN
        run.record(metric(`floor, processor time, ${name}`, 'µs/payment'), us)
        run.record(metric(`Riverbank, processor time, ${name}`, 'µs/payment'), own)
        const goal = name === 'processor' ? goals.processor : goals.server
        run.record(metric(`processor time of the floor's, ${name}`, 'ratio', goal), own / us)
      }
    })
  } finally {
    await floor.stop()
  }
}

async function measure(run: Run, pids: ReadonlyMap<string, number>, work: () => Promise<void>): Promise<Measured> {
  const before = await cpuSeconds(pids)
  const startedMs = performance.now()
  await work()
  const rate = run.payments / ((performance.now() - startedMs) / 1_000)
  const after = await cpuSeconds(pids)
  const cpu = [...after].map(([name, seconds]): [string, number] => [
    name,
    ((seconds - (before.get(name) ?? 0)) * 1e6) / run.payments,
  ])
  return { rate, cpu: new Map(cpu) }
}
