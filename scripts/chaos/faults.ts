import { setTimeout as delay } from 'node:timers/promises'
import type { Installation } from './installation.ts'
import { points, type Point } from './messages.ts'
import type { RoleProcess } from './role-process.ts'
import { until } from './wait.ts'

/** One fault. Answers how often it took effect, by the name in the results. */
export interface Fault {
  readonly name: string
  inflict(installation: Installation, random: () => number): Promise<ReadonlyMap<string, number>>
}

const heldMs = 30_000
const wokenMs = 30_000
/** Batches before and after a fault that lasts, so that it meets running work. */
const batchesBetween = 5

export function between(random: () => number, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1))
}

export async function held(one: RoleProcess, point: Point, nth: number): Promise<void> {
  const before = one.count('held')
  one.tell({ kind: 'hold', point, nth })
  await until(`${one.name} reaches ${point}`, heldMs, () => one.count('held') > before || one.ended !== null)
  if (one.ended !== null) throw new Error(`${one.name} ended by itself: ${one.ended}`)
}

/** Kills each processor where it is held, at a point of its own. */
export function kill(chosen: readonly Point[] = points): Fault {
  return {
    name: 'kill',
    async inflict({ fleet }, random) {
      const seen = new Map(chosen.map((point) => [`kill ${point}`, 0]))
      const left = [...chosen]
      while (left.length > 0) {
        await fleet.untilShared()
        const victims = fleet.running.filter((one) => fleet.ownedBy(one).length > 0)
        const pairs = victims.map((victim) => ({ victim, point: left.shift() }))
        await Promise.all(
          pairs.map(async ({ victim, point }) => {
            if (point === undefined) return
            await held(victim, point, between(random, 1, 4))
            await victim.kill()
            seen.set(`kill ${point}`, (seen.get(`kill ${point}`) ?? 0) + 1)
          }),
        )
      }
      await fleet.untilShared()
      return seen
    },
  }
}

const zombiePoints: readonly Point[] = [
  'after-write',
  'after-advance',
  'before-publish',
  'after-publish',
  'before-commit',
]

/** Freezes a processor within a batch until others have its partitions and have gone on; then it wakes and finishes. */
export const zombie: Fault = {
  name: 'zombie',
  async inflict({ fleet }, random) {
    await fleet.untilShared()
    const victim = fleet.running.find((one) => fleet.ownedBy(one).length > 0)
    if (victim === undefined) throw new Error('nobody owns a partition')
    const partitions = fleet.ownedBy(victim)
    const point = zombiePoints[between(random, 0, zombiePoints.length - 1)] ?? 'before-commit'
    await held(victim, point, 1)
    victim.freeze()
    try {
      await until('others take over', wokenMs, () => partitions.every((one) => fleet.ownerOf(one) !== victim))
      await fleet.untilCommitted(batchesBetween)
    } finally {
      victim.tell({ kind: 'go' })
      victim.thaw()
    }
    await until('the zombie is fenced', wokenMs, () => victim.count('fenced') > 0 || victim.ended !== null)
    return new Map([['zombie', victim.count('fenced')]])
  },
}

/** Processors come and go while records flow: two to four at a time. */
export const rebalance: Fault = {
  name: 'rebalance',
  async inflict({ fleet }, random) {
    await fleet.untilShared()
    const before = fleet.total('assigned')
    const atFirst = fleet.running.length
    fleet.add()
    await fleet.untilShared()
    for (let leaving = between(random, 1, 2); leaving > 0; leaving -= 1) {
      const [oldest] = fleet.running
      if (oldest !== undefined) await fleet.leave(oldest)
      await fleet.untilShared()
    }
    while (fleet.running.length < atFirst) fleet.add()
    await fleet.untilShared()
    return new Map([['rebalance', fleet.total('assigned') - before]])
  },
}

/** Redis executes commands, and its replies never arrive; then the connections are cut. So many times. */
export function lostReplies(times = 4): Fault {
  return {
    name: 'lost replies',
    async inflict({ fleet, proxy }, random) {
      await fleet.untilCommitted(batchesBetween)
      const before = proxy.replies
      for (let time = 0; time < times; time += 1) {
        proxy.deafen(() => random() < 0.5)
        // Shorter and longer than a command's timeout.
        await delay(between(random, 50, 1_500))
        proxy.cut(() => random() < 0.3)
        await delay(between(random, 100, 600))
      }
      return new Map([['lost replies', proxy.replies - before]])
    },
  }
}

/** The log's server is gone for a while: SIGKILL, or an orderly stop. */
export const outage: Fault = {
  name: 'outage',
  async inflict({ fleet, kafka, redis }, random) {
    await fleet.untilShared()
    await fleet.untilCommitted(batchesBetween)
    const before = fleet.troubles() + fleet.total('assigned')
    const downMs = between(random, 300, 1_500)
    if (kafka === null) {
      await redis.kill()
      await delay(downMs)
      await redis.start()
    } else {
      await (random() < 0.5 ? kafka.kill() : kafka.stop())
      await delay(downMs)
      await kafka.restart()
    }
    const noticed = () => fleet.troubles() + fleet.total('assigned') - before
    await until('somebody notices', heldMs, () => noticed() > 0)
    await fleet.untilCommitted(batchesBetween)
    await fleet.untilShared()
    return new Map([['outage', noticed()]])
  },
}

/** A producer that does not know whether the log took its records sends all of them again. */
export const duplicates: Fault = {
  name: 'duplicates',
  async inflict({ fleet, sender }, random) {
    const count = between(random, 20, 100)
    for (let time = 0; time < 2; time += 1) {
      await fleet.untilCommitted(batchesBetween)
      await sender.sendAgain(count)
    }
    return new Map([['duplicates', 2 * count]])
  },
}
