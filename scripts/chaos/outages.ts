import { setTimeout as delay } from 'node:timers/promises'
import { between, held, type Fault } from './faults.ts'
import { until } from './wait.ts'

const noticedMs = 180_000
const batchesBetween = 5
/** Longer than the retries of every step. */
const refusingMs = 20_000

/**
 * Redis refuses writes of states for a while, as at `maxmemory`; then it takes them, and scoring goes on by itself. A
 * processor stands before a write by then: where Redis carries the log, too, it refuses the producer at the same time,
 * and processors that have nothing left to do would notice nothing.
 */
export const refusedWrites: Fault = {
  name: 'states refuse writes',
  async inflict({ fleet, redis }) {
    await fleet.untilShared()
    await fleet.untilCommitted(batchesBetween)
    const writer = fleet.running.find((one) => fleet.ownedBy(one).length > 0)
    if (writer === undefined) throw new Error('nobody owns a partition')
    const before = fleet.troubles()
    const noticed = () => fleet.troubles() - before
    await held(writer, 'before-write', 1)
    await redis.limitMemory('1')
    writer.tell({ kind: 'go' })
    try {
      await delay(refusingMs)
      await until('somebody notices', noticedMs, () => noticed() > 0)
    } finally {
      await redis.limitMemory('0')
    }
    await fleet.untilCommitted(batchesBetween)
    await fleet.untilShared()
    return new Map([['states refuse writes', noticed()]])
  },
}

/**
 * Restarts Redis while partitions change hands: processors take new partition assignments, without a restart by hand.
 */
export const restartWhileClaiming: Fault = {
  name: 'restart while claiming',
  async inflict({ fleet, redis }, random) {
    await fleet.untilShared()
    const before = fleet.troubles() + fleet.total('assigned')
    const [oldest] = fleet.running
    fleet.add()
    if (oldest !== undefined) void fleet.leave(oldest)
    await delay(between(random, 200, 2_000))
    await redis.kill()
    await delay(between(random, 300, 1_500))
    await redis.start()
    await fleet.untilCommitted(batchesBetween)
    await fleet.untilShared()
    return new Map([['restart while claiming', fleet.troubles() + fleet.total('assigned') - before]])
  },
}
