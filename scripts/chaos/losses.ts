import { setTimeout as delay } from 'node:timers/promises'
import { between, type Fault } from './faults.ts'
import type { Installation } from './installation.ts'
import { flushAndRebuild } from './lives.ts'
import { answered, until } from './wait.ts'
import { RiverbankError } from '../../src/base/errors.ts'

/** Redis' file must grow by so many bytes before the fault cuts some of them: some dozens of batches. */
const grownBytes = 150_000
const grownMs = 60_000
const noticedMs = 60_000

/**
 * Kills Redis and cuts the newest part of its append-only file: with `appendfsync everysec` Redis acknowledged those
 * writes and never wrote them. A log in that Redis loses its newest records too: the producer sends them again, and the
 * materializer does not run meanwhile, because a lake cannot take back what it holds.
 */
export const lostTail: Fault = {
  name: 'lost tail',
  async inflict(installation, random) {
    const { fleet, redis, sender } = installation
    await fleet.untilShared()
    const isLogLost = installation.driver === 'redis'
    if (isLogLost) await installation.stopMaterializer()
    const rewindsBefore = fleet.rewinds()
    const bytesBefore = await redis.logBytes()
    await until('redis has written', grownMs, async () => (await redis.logBytes()) > bytesBefore + grownBytes)
    if (isLogLost) await sender.rest()
    await redis.kill()
    const grown = (await redis.logBytes()) - bytesBefore
    await redis.loseTail(Math.floor(grown * (0.2 + 0.7 * random())))
    await delay(between(random, 100, 800))
    await redis.start()
    await fleet.untilShared()
    const resent = isLogLost ? await resend(installation) : 0
    if (isLogLost) installation.startMaterializer()
    // Every partition gets a record: a partition assignment with nothing to write does not check the store.
    await sender.touchAll()
    return new Map([['lost tail', isLogLost ? resent : await rewindsSince(installation, rewindsBefore)]])
  },
}

/** Sends the acknowledged records that are gone once more. */
async function resend(installation: Installation): Promise<number> {
  const held = new Set<string>()
  const { events } = installation.names.topics
  for (const { value } of await answered('the log is back', noticedMs, () => installation.read(events))) {
    const id = /"id":"([^"]+)"/.exec(new TextDecoder().decode(value))?.[1]
    if (id !== undefined) held.add(id)
  }
  const { sender } = installation
  const gone = [...sender.events].filter(([id]) => !held.has(id)).map(([, sent]) => sent)
  if (gone.length > 0) await sender.send(gone)
  return gone.length
}

async function rewindsSince({ fleet }: Installation, before: number): Promise<number> {
  await until('a rewind is recorded', noticedMs, () => fleet.rewinds() > before)
  return fleet.rewinds() - before
}

/** Codes with which a role explains that its log or states are gone. */
const explained: ReadonlySet<string> = new Set(['topic_missing', 'log_recreated', 'log_truncated', 'state_lost'])

/** FLUSHALL under running processors. The last fault of an installation, if its log is gone with it. */
export const emptied: Fault = {
  name: 'emptied',
  async inflict(installation) {
    const { driver, fleet, sender } = installation
    await fleet.untilShared()
    if (driver === 'redis') return new Map([['emptied', await stopsExplained(installation)]])
    await flushAndRebuild(installation)
    await sender.touchAll()
    return new Map([['emptied', 1]])
  },
}

/** The log is gone with the states: every role must stop with a code that explains it. */
async function stopsExplained({ fleet, redis, sender, materializer }: Installation): Promise<number> {
  fleet.isTending = false
  await sender.rest()
  const roles = [...fleet.running, materializer]
  await redis.empty()
  await until('every role stops', noticedMs, () => roles.every(({ ended }) => ended !== null))
  const unexplained = roles.filter(({ failure }) => failure === null || !explained.has(failure))
  if (unexplained.length > 0) {
    const told = unexplained.map(({ name, failure, ended }) => `${name}: ${failure ?? ended}`)
    throw new RiverbankError('chaos_unexplained', `ended without saying why: ${told.join('; ')}`)
  }
  return roles.length
}
