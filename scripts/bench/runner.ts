import type { Benchmark } from './benchmark.ts'
import type { Driver } from './installation.ts'
import { openPlace } from './place.ts'
import type { Run } from './run.ts'

/** After this long a benchmark begins no further round, unless it is a long one. */
const enoughMs = 280_000

/** Runs benchmarks in the order of the list: first those without a log, then all of each driver. */
export async function runBenchmarks(
  run: Omit<Run, 'isLate'>,
  benchmarks: readonly Benchmark[],
  drivers: readonly Driver[],
  onFailure: (error: unknown) => void,
): Promise<void> {
  for (const benchmark of benchmarks) {
    if (benchmark.drivers === 'none') await benchmark.run(runOf(run, benchmark))
  }
  for (const driver of drivers) {
    if (!benchmarks.some((one) => one.drivers.includes(driver))) continue
    const place = await openPlace(run, driver, onFailure)
    if (place === null) continue
    try {
      for (const benchmark of benchmarks) {
        if (benchmark.drivers !== 'none' && benchmark.drivers.includes(driver))
          await benchmark.run(runOf(run, benchmark), place)
      }
    } finally {
      await place.close()
    }
  }
}

/** Each benchmark has its own time and name, also where it uses the parts of another. */
function runOf(run: Omit<Run, 'isLate'>, { name, isLong }: Benchmark): Run {
  const startedMs = performance.now()
  const record: Run['record'] = (metric, value) => run.record({ ...metric, benchmark: name }, value)
  return { ...run, record, isLate: () => isLong !== true && performance.now() - startedMs > enoughMs }
}
