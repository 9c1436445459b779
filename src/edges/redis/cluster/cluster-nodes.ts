import type { Redis } from 'ioredis'
import { RiverbankError } from '../../../base/errors.ts'
import { parseHashSlots, type Redirection, type HashSlotOwners } from './hash-slots.ts'
import { addressOf, nodeUrl } from './cluster-url.ts'
import { connectRedis, createConnection, redisFailure, type ConnectionOptions } from '../server/connection.ts'

export interface ClusterOptions extends Omit<ConnectionOptions, 'url'> {
  /** `redis://` URLs of the first nodes, tried in turn; at least one. */
  readonly seeds: readonly string[]
}

/**
 * One connection to each primary of a Redis Cluster, and the owner of each hash slot. The cluster client of ioredis
 * sends a command again by itself, to the slot's new owner, before a caller can learn that writes may be lost. This
 * class sends nothing twice, and has moved its epoch before the command answers.
 */
export class ClusterNodes {
  readonly #options: ClusterOptions
  readonly #nodes = new Map<string, Redis>()
  #owners: (string | undefined)[] = []
  #epoch = 1
  #lookingUp = false
  /** Asks another node each time: one that was cut off may have an old map. */
  #turn = 0
  #closed = false

  private constructor(options: ClusterOptions) {
    this.#options = options
  }

  /**
   * Reads the map from a seed and connects to every primary. Rejects with `state_unavailable` when a primary cannot be
   * reached, and with `invalid_config` when the seed is no node of a cluster.
   */
  static async connect(options: ClusterOptions): Promise<ClusterNodes> {
    const cluster = new ClusterNodes(options)
    try {
      await cluster.#askSeeds()
      const connections = [...new Set(cluster.#owners)].flatMap((address) => address ?? [])
      await Promise.all(connections.map((address) => cluster.#untilReady(address)))
      return cluster
    } catch (error) {
      cluster.close()
      throw redisFailure('state_unavailable', 'connecting to the redis cluster', error)
    }
  }

  /** Changes when a connection was lost or a hash slot has another owner: either may have lost acknowledged writes. */
  get epoch(): number {
    return this.#epoch
  }

  /** The primaries, by address. */
  primaries(): ReadonlyMap<string, Redis> {
    const owners = new Set(this.#owners)
    return new Map([...this.#nodes].filter(([address]) => owners.has(address)))
  }

  /** The connection to a hash slot's owner, ready now. Throws `state_unavailable`. */
  ownerOf(hashSlot: number): Redis {
    const address = this.#owners[hashSlot]
    if (address !== undefined) return this.at(address)
    this.refresh()
    throw new RiverbankError('state_unavailable', `slot ${hashSlot} is served by no node`, { canRetry: true })
  }

  /** The connection to a node, ready now: it queues no command. Throws `state_unavailable`, and connects. */
  at(address: string): Redis {
    const node = this.#nodes.get(address) ?? this.#open(address)
    if (node.status === 'ready') return node
    this.refresh()
    throw new RiverbankError('state_unavailable', `no connection to ${address}`, { canRetry: true })
  }

  /** Notes that a node no longer owns a hash slot. The new owner may be a replica that was promoted. */
  moved({ hashSlot, address }: Redirection): void {
    if (this.#owners[hashSlot] !== address) {
      this.#owners[hashSlot] = address
      this.#epoch += 1
    }
    if (!this.#nodes.has(address)) this.#open(address)
    this.refresh()
  }

  /** Reads the map again in the background, unless it already does. */
  refresh(): void {
    if (this.#lookingUp || this.#closed) return
    this.#lookingUp = true
    void this.#lookUp().finally(() => {
      this.#lookingUp = false
    })
  }

  close(): void {
    this.#closed = true
    for (const node of this.#nodes.values()) node.disconnect()
  }

  async #lookUp(): Promise<void> {
    const ready = [...this.#nodes].filter(([, node]) => node.status === 'ready')
    this.#turn += 1
    for (const i of ready.keys()) {
      const [address, node] = ready[(this.#turn + i) % ready.length] ?? []
      if (address === undefined || node === undefined) continue
      try {
        this.#apply(parseHashSlots(await node.cluster('SLOTS'), hostOf(address)))
        return
      } catch {
        continue
      }
    }
    // No known node answers, so it asks the seeds; the next call that needs a node asks again.
    await this.#askSeeds().catch(() => undefined)
  }

  async #askSeeds(): Promise<void> {
    let last: unknown
    for (const url of this.#options.seeds) {
      let seed: Redis | null = null
      try {
        seed = await connectRedis({ ...this.#options, url }, 'state_unavailable')
        this.#apply(parseHashSlots(await seed.cluster('SLOTS'), hostOf(addressOf(url))))
        return
      } catch (error) {
        if (error instanceof Error && error.message.includes('cluster support disabled')) {
          const why = `${addressOf(url)} is no node of a Redis Cluster: name it as redis://host:port`
          throw new RiverbankError('invalid_config', why, { cause: error })
        }
        last = error
      } finally {
        seed?.disconnect()
      }
    }
    throw last
  }

  #apply(owners: HashSlotOwners): void {
    if (this.#closed) return
    const isFirst = this.#owners.length === 0
    if (!isFirst && owners.some((address, hashSlot) => address !== this.#owners[hashSlot])) this.#epoch += 1
    this.#owners = [...owners]
    const primaries = new Set(owners)
    for (const address of primaries) if (address !== undefined && !this.#nodes.has(address)) this.#open(address)
    // A node without hash slots that does not answer has left. One that answers may be about to take a slot.
    for (const [address, node] of this.#nodes) {
      if (primaries.has(address) || node.status === 'ready') continue
      this.#nodes.delete(address)
      node.disconnect()
    }
  }

  #open(address: string): Redis {
    const url = nodeUrl(this.#options.seeds[0] ?? '', address)
    const node = createConnection({ ...this.#options, url })
    this.#nodes.set(address, node)
    node.on('close', () => {
      if (this.#nodes.get(address) !== node || this.#closed) return
      this.#epoch += 1
      this.refresh()
    })
    // The client retries by itself.
    node.connect().catch(() => undefined)
    return node
  }

  async #untilReady(address: string): Promise<void> {
    const node = this.#nodes.get(address)
    if (node === undefined || node.status === 'ready') return
    await new Promise<void>((resolve, reject) => {
      const failed = (): void => {
        const why = `no connection to ${address}, which serves a part of the slots`
        reject(new RiverbankError('state_unavailable', why, { canRetry: true }))
      }
      node.once('ready', resolve)
      node.once('close', failed)
    })
  }
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'))
}
