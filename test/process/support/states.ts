import { Redis } from 'ioredis'
import type { Definitions } from '../../../src/app/installation/settings/definitions.ts'
import { StateDecoder } from '../../../src/engine/state-codec/state-decoder.ts'
import { plainTables } from '../../../src/engine/tiles/tiles.ts'
import { clock } from './wiring.ts'
import type { World } from './world.ts'

async function keysOf(redis: Redis, pattern: string): Promise<string[]> {
  return (await redis.keys(pattern)).sort()
}

/** Every state of a world, as what it means: by entity and id, without stored snapshots. */
export async function statesOf(world: World, url: string, { plan }: Definitions) {
  const redis = new Redis(url)
  const prefix = `${world.statesNamespace}:state:{`
  const found = new Map<string, unknown>()
  const decoder = new StateDecoder(() => world.store.layouts())
  for (const name of await keysOf(redis, `${prefix}*`)) {
    const [entity = '', ...id] = name.slice(prefix.length, -1).split(':')
    const key = { entity, id: id.join(':') }
    const own = plan.entities.find((one) => one.name === entity)
    const [blob = null] = await world.store.load([key])
    if (own === undefined || blob === null) throw new Error(`no state ${name}`)
    await decoder.foreign(own, [blob])
    const { firstTiles, moreTiles, partitions, ...rest } = decoder.decode(own, blob, clock.nowMs())
    const next = partitions.map((one) => [one.partition, one.next])
    found.set(`${entity} ${key.id}`, { ...rest, tiles: plainTables(own, [firstTiles, ...moreTiles]), next })
  }
  redis.disconnect()
  return found
}

/** FLUSHALL for the states alone: the log of a test lives on the same server. */
export async function emptyStates(world: World, url: string): Promise<void> {
  const redis = new Redis(url)
  const names = await keysOf(redis, `${world.statesNamespace}:*`)
  if (names.length > 0) await redis.del(...names)
  redis.disconnect()
}
