import { join } from 'node:path'
import type { Fault } from './faults.ts'
import type { Installation } from './installation.ts'
import { until } from './wait.ts'
import { environmentName } from '../../src/app/installation/settings/config.ts'
import { runRebuild } from '../../src/app/commands/states/rebuild-command.ts'
import { RiverbankError } from '../../src/base/errors.ts'

/** The limit for a role to notice: it checks every half second, when a busy machine lets it. */
const noticedMs = 120_000
const refusedMs = 180_000
const batchesAfter = 5

/**
 * Empties the states while batches are in flight, and runs `riverbank rebuild` while the processors wait: none may
 * restart, and none may publish an output event again with other bytes.
 */
export const flushed: Fault = {
  name: 'states flushed',
  async inflict(installation) {
    const { fleet } = installation
    await fleet.untilShared()
    await fleet.untilCommitted(batchesAfter)
    await flushAndRebuild(installation)
    await fleet.untilCommitted(batchesAfter)
    return new Map([['states flushed', 1]])
  },
}

export async function flushAndRebuild({ config, fleet, redis }: Installation): Promise<void> {
  const restartsBefore = fleet.restarts
  await redis.emptyStates(config.NAMESPACE)
  const { running } = fleet
  await until('every processor waits', noticedMs, () => running.every(({ waits }) => waits > 0))
  await runRebuild(config, () => undefined)
  if (fleet.restarts === restartsBefore) return
  const reason = `${fleet.restarts - restartsBefore} processors ended instead of waiting`
  throw new RiverbankError('chaos_restarted', reason)
}

/**
 * A second installation of the same name, with its own lake: each of its roles is refused, and the first one goes on.
 */
export const namesakes: Fault = {
  name: 'two installations of one name',
  async inflict(installation) {
    const { config, fleet } = installation
    await fleet.untilCommitted(batchesAfter)
    const elsewhere = { [environmentName('DATA_DIR')]: join(config.DATA_DIR, '..', 'namesake') }
    let refused = 0
    // The materializer makes the other lake; the processor meets it.
    for (const role of ['materialize', 'process'] as const) {
      const one = installation.startBeside(role, elsewhere)
      await until(`the second ${role} ends`, refusedMs, () => one.ended !== null)
      if (one.failure !== 'lake_mismatch') {
        throw new RiverbankError('chaos_unexplained', `the second ${role}: ${one.failure ?? one.ended ?? 'runs'}`)
      }
      refused += 1
    }
    await fleet.untilCommitted(batchesAfter)
    return new Map([['two installations of one name', refused]])
  },
}
