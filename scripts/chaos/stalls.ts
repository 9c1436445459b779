import { Burners, starvedMs, unbind } from './burners.ts'
import type { Fault } from './faults.ts'
import type { Installation } from './installation.ts'
import { advancing, until } from './wait.ts'

const burners = 8
const backlogRecords = 3_000
const batchesAfter = 10
const resumedMs = 180_000
/** Longer than a command may take, and longer than a session. */
const pausesMs = [1_500, 4_500] as const

/**
 * Binds all processors to one core with processes that want it whole, while a backlog waits: they must work it off,
 * however slowly. Counts the milliseconds for which they had to wait for the core.
 */
export const starvation: Fault = {
  name: 'cpu starvation with a backlog',
  async inflict(installation) {
    const { fleet, sender } = installation
    await fleet.untilShared()
    await sender.rest()
    const before = new Map(fleet.running.map(({ pid }) => [pid, starvedMs(pid)]))
    const load = new Burners(burners)
    try {
      for (const { pid } of fleet.running) load.bind(pid)
      await sender.sendMany(backlogRecords)
      await advancing('the backlog is worked off', () => lagOf(installation))
    } finally {
      load.stop()
      for (const { pid } of fleet.running) unbind(pid)
    }
    const waitedMs = [...before].reduce((sum, [pid, ms]) => sum + Math.max(0, starvedMs(pid) - ms), 0)
    return new Map([[this.name, Math.round(waitedMs)]])
  },
}

/** Blocks the event loop of a processor while Redis answers: it must go on by itself, in the same process. */
export const paused: Fault = {
  name: 'paused event loop',
  async inflict({ fleet }) {
    let seen = 0
    for (const ms of pausesMs) {
      await fleet.untilShared()
      const victim = fleet.running.find((one) => fleet.ownedBy(one).length > 0)
      if (victim === undefined) throw new Error('nobody owns a partition')
      const before = victim.count('blocked')
      victim.tell({ kind: 'block', ms })
      await until('the loop was blocked', resumedMs, () => victim.count('blocked') > before || victim.ended !== null)
      await fleet.untilCommitted(batchesAfter)
      await fleet.untilShared()
      await until('it has partitions again', resumedMs, () => fleet.ownedBy(victim).length > 0 || victim.ended !== null)
      if (victim.ended !== null) throw new Error(`${victim.name} ended by itself: ${victim.ended}`)
      seen += victim.count('blocked') - before
    }
    return new Map([[this.name, seen]])
  },
}

/** Records that are not committed yet. */
async function lagOf({ log, names }: Installation): Promise<number> {
  const { topics, groups } = names
  const ranges = (await log.describeTopic(topics.events)) ?? []
  const committed = await log.committed(groups.process, topics.events)
  return ranges.reduce((sum, { partition, start, end }) => sum + end - (committed.get(partition) ?? start), 0)
}
