import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Installation } from './installation.ts'
import { slope, type Metric } from './measurement.ts'
import type { Place } from './place.ts'
import { sized, type Run } from './run.ts'
import { liveTraffic } from '../../features/simulator/live-traffic.ts'
import { datasetEpochMs, scoredTypes } from '../../features/simulator/payment-events.ts'
import { worldOf } from '../../features/simulator/payments.ts'
import { generatePopulation } from '../../features/simulator/population.ts'
import { streamEvents } from '../simulator/stream-events.ts'
import { originEndingAt } from '../simulator/time-axis.ts'
import { withTimeLimit } from '../simulator/time-limit.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import { dayMs, minuteMs } from '../../src/base/units.ts'
import { labelDelayMs } from './feed.ts'

/** Payments a second: one process handles them with a few percent of a core, for any time. */
const rate = 50
const fullSampleEveryMs = 10_000
/** Days of payments before the measurement: connections and caches are then in use. */
const daysBefore = 30

interface Sample {
  readonly minutes: number
  readonly residentMb: ReadonlyMap<string, number>
}

/**
 * Measures the memory of the processes while payments come at a steady rate: at the end, and its growth over the second
 * half of the time (least squares). Linux only, like processor times.
 */
export function benchMemory(run: Run, place: Place): Promise<void> {
  return place.within({}, (installation) => watchMemory(run, installation))
}

async function watchMemory(run: Run, installation: Installation): Promise<void> {
  const signal = withTimeLimit(run.signal, run.minutes * minuteMs)
  const [samples] = await Promise.all([sample(run, installation, signal), send(installation, signal)])
  run.signal.throwIfAborted()
  const half = samples.filter(({ minutes }) => minutes >= run.minutes / 2)
  for (const name of installation.pids().keys()) {
    const metric = (what: string, unit: string): Metric => ({
      ...{ benchmark: 'memory', driver: installation.driver },
      ...{ name: `${name} after ${run.minutes} minutes, ${what}`, unit },
    })
    const points = half.map((one) => ({ x: one.minutes / 10, y: one.residentMb.get(name) ?? NaN }))
    run.record(metric('resident', 'MB'), points.at(-1)?.y ?? NaN)
    run.record(metric('growth', 'MB/10 min'), slope(points))
  }
}

async function send({ config, log }: Installation, signal: AbortSignal): Promise<void> {
  const world = worldOf({})
  const startMs = Date.now()
  const traffic = liveTraffic({
    world,
    population: generatePopulation(world),
    seed: 1,
    idPrefix: `memory-${startMs.toString(36)}-`,
    originMs: originEndingAt(startMs, { epochMs: datasetEpochMs, lengthMs: daysBefore * dayMs }, 'day'),
    nowMs: () => Date.now(),
    labelDelayMs,
  })
  await streamEvents(traffic, (records) => log.publish(records), {
    topic: names(config).topics.events,
    scoredTypes,
    partitions: config.PARTITIONS,
    batchRecords: 100,
    inFlightMax: config.PARTITIONS,
    ratePerSecond: rate,
    signal,
  })
}

/** Samples until the signal; reports every minute. */
async function sample(run: Run, installation: Installation, signal: AbortSignal): Promise<Sample[]> {
  const startedMs = performance.now()
  const samples: Sample[] = []
  const sampleEveryMs = sized(run, fullSampleEveryMs, 500)
  while (!signal.aborted) {
    const minutes = (performance.now() - startedMs) / minuteMs
    const residentMb = await resident(installation.pids())
    const isNewMinute = Math.floor(minutes) > Math.floor(samples.at(-1)?.minutes ?? -1)
    samples.push({ minutes, residentMb })
    if (isNewMinute) {
      const shown = [...residentMb].map(([name, mb]) => `${name} ${Math.round(mb)}`).join(', ')
      run.say(`memory: minute ${Math.floor(minutes)} of ${run.minutes}, MB resident: ${shown}`)
    }
    await delay(sampleEveryMs, undefined, { signal }).catch(() => undefined)
  }
  return samples
}

/** Resident memory of each process, MB; a process that is gone is left out. */
export async function resident(pids: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  for (const [name, pid] of pids) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    const kb = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
    if (kb !== undefined) found.set(name, Number(kb) / 1_024)
  }
  return found
}
