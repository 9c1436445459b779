import type { Driver } from './installation.ts'
import type { Place } from './place.ts'
import type { Run } from './run.ts'

interface About {
  readonly name: string
  /** One line of the help and of docs/benchmarks.md. */
  readonly about: string
  /** Runs only when it is named, because it takes longer than all others together. */
  readonly isLong?: boolean
}

/** A benchmark that needs no log and no roles. */
interface AloneBenchmark extends About {
  readonly drivers: 'none'
  readonly run: (run: Run) => Promise<void>
}

/** A benchmark on an installation, once for each driver that it lists. */
interface PlacedBenchmark extends About {
  readonly drivers: readonly Driver[]
  readonly run: (run: Run, place: Place) => Promise<void>
}

export type Benchmark = AloneBenchmark | PlacedBenchmark
