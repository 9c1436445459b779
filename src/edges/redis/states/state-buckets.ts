import type { EntityKey } from '../../../ports/states.ts'
import { crc16, hashSlotCount, hashSlotOf } from '../cluster/hash-slots.ts'

/** Entities that share a hash slot with their positions, and so a node, even when the cluster moves slots. */
export interface StateBucket {
  /** The hash tag of every key in it. */
  readonly tag: string
  readonly hashSlot: number
}

/**
 * More buckets even nodes out and shorten scripts; every advance of a position writes to each of them. Part of the
 * storage format: another number is another store.
 */
const bucketCount = 64

/** One bucket per equal share of the hash slots, so that nodes with equal shares hold equally many. */
export const stateBuckets: readonly StateBucket[] = spread()

export function bucketOf({ entity, id }: EntityKey): StateBucket {
  const bucket = stateBuckets[crc16(`${entity}:${id}`) % bucketCount]
  if (bucket === undefined) throw new Error('a remainder is below its divisor')
  return bucket
}

/** The smallest number in each share that hashes into it. */
function spread(): StateBucket[] {
  const found = new Map<number, StateBucket>()
  for (let number = 0; found.size < bucketCount; number += 1) {
    const tag = String(number)
    const hashSlot = hashSlotOf(tag)
    const share = Math.floor((hashSlot * bucketCount) / hashSlotCount)
    if (!found.has(share)) found.set(share, { tag, hashSlot })
  }
  return [...found].sort(([a], [b]) => a - b).map(([, bucket]) => bucket)
}
