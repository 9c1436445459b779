import { cpuSeconds } from './cpu.ts'
import { feedHistory, openFeed, publishAll } from './feed.ts'
import type { Installation } from './installation.ts'
import type { Metric } from './measurement.ts'
import type { Place } from './place.ts'
import { untilDone } from './progress.ts'
import { eachRound, sized, type Run } from './run.ts'

interface Shape {
  readonly name: string
  readonly processors: number
  /** Also the materializer and the HTTP role, on the same cores. */
  readonly hasAllRoles: boolean
}

const shapes: readonly Shape[] = [
  { name: 'one processor', processors: 1, hasAllRoles: false },
  { name: 'two processors', processors: 2, hasAllRoles: false },
  { name: 'one processor, all roles', processors: 1, hasAllRoles: true },
  { name: 'two processors, all roles', processors: 2, hasAllRoles: true },
]

/** The goal of one processor with all roles on two cores, with publisher and Redis on them, too. */
const goal = { kind: 'above', value: 5_000 } as const

/**
 * Measures payments a second: it publishes as fast as the log takes them, and counts from the first publish until the
 * processor has committed the last event, and until the lake has it too. It publishes labels as they come and does not
 * count them. The processor time of each role gives the rate of an otherwise idle machine. Each round of each shape has
 * an installation of its own, in turn: states grow and machines change.
 */
export async function benchStream(run: Run, place: Place): Promise<void> {
  const { driver } = place
  await eachRound(run, `stream on ${driver}, ${run.payments} payments`, async () => {
    for (const shape of sized(run, shapes, shapes.slice(-1))) {
      run.signal.throwIfAborted()
      const { processors } = shape
      const roles = shape.hasAllRoles ? {} : { roles: ['process'] }
      await place.within({ processors, ...roles }, (installation) => measure(run, installation, shape))
    }
  })
}

async function measure(run: Run, installation: Installation, { name, processors, hasAllRoles }: Shape): Promise<void> {
  const metric = (what: string, unit = 'payments/s'): Metric => {
    return { benchmark: 'stream', driver: installation.driver, name: `${name}: ${what}`, unit }
  }
  const warmUp = Math.ceil(run.payments / 4)
  const feed = openFeed(warmUp + run.payments)
  await feedHistory(installation, feed, warmUp, run.signal, hasAllRoles ? 'materialized' : 'scored')
  const before = await cpuByRole(installation)
  const startedMs = performance.now()
  const rate = () => run.payments / ((performance.now() - startedMs) / 1_000)
  await publishAll(installation, feed.take(run.payments), run.signal)
  run.record(metric('published'), rate())
  await untilDone(installation, 'scored', run.signal)
  const isJudged = installation.driver === 'redis' && hasAllRoles && processors === 1
  run.record(isJudged ? { ...metric('scored'), goal } : metric('scored'), rate())
  if (hasAllRoles) {
    await untilDone(installation, 'materialized', run.signal)
    run.record(metric('scored and in the lake'), rate())
  }
  for (const [role, seconds] of await cpuByRole(installation)) {
    const used = ((seconds - (before.get(role) ?? 0)) * 1e6) / run.payments
    run.record(metric(`processor time, ${role}`, 'µs/payment'), used)
  }
}

/** Processor seconds of all instances of a role together. */
async function cpuByRole(installation: Installation): Promise<ReadonlyMap<string, number>> {
  const byRole = new Map<string, number>()
  for (const [name, seconds] of await cpuSeconds(installation.pids())) {
    const role = name.replace(/-\d+$/, '')
    byRole.set(role, (byRole.get(role) ?? 0) + seconds)
  }
  return byRole
}
