import { cpuSeconds } from './cpu.ts'
import { publishAll, type Feed } from './feed.ts'
import type { Installation } from './installation.ts'
import type { Metric } from './measurement.ts'
import { untilDone } from './progress.ts'
import { eachRound, type Run } from './run.ts'

/** The goal on two cores, with publisher, Redis and all roles on them. */
const goal = { kind: 'above', value: 5_000 } as const

/**
 * Measures payments per second through the whole pipeline: it publishes as fast as the log takes them, and counts from
 * the first publish until the processor has committed the last event, and until the lake has it too. It publishes
 * labels as they come and does not count them. The processor time of each process gives the rate of an otherwise idle
 * machine.
 */
export async function benchPipeline(run: Run, installation: Installation, feed: Feed): Promise<void> {
  const { driver } = installation
  const metric = (name: string): Metric => ({ benchmark: 'pipeline', driver, name, unit: 'payments/s' })
  await eachRound(run, `pipeline on ${driver}, ${run.payments} payments`, async () => {
    const before = await cpuSeconds(installation.pids())
    const startedMs = performance.now()
    const rate = () => run.payments / ((performance.now() - startedMs) / 1_000)
    await publishAll(installation, feed.take(run.payments), run.signal)
    run.record(metric('published'), rate())
    await untilDone(installation, 'scored', run.signal)
    run.record(driver === 'redis' ? { ...metric('scored'), goal } : metric('scored'), rate())
    await untilDone(installation, 'materialized', run.signal)
    run.record(metric('scored and in the lake'), rate())
    for (const [name, seconds] of await cpuSeconds(installation.pids())) {
      const used = seconds - (before.get(name) ?? 0)
      run.record({ ...metric(`processor time, ${name}`), unit: 'µs/payment' }, (used * 1e6) / run.payments)
    }
  })
}
