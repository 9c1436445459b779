import { Redis } from 'ioredis'
import { hashSlotCount, hashSlotOf } from '../../src/edges/redis/cluster/hash-slots.ts'
import { freePort } from '../../src/edges/redis/server/server.ts'
import { startTestRedis, type TestRedis } from './redis-server.ts'
import { eventually } from './wait.ts'

export interface TestCluster {
  /** `redis+cluster://`, with every node as a seed. */
  readonly url: string
  /** `redis://` of every node. */
  readonly seeds: readonly string[]
  readonly nodes: readonly TestClusterNode[]
  /** The node that serves a key's slot now, as the first node that answers sees it. */
  ownerOf(key: string): Promise<TestClusterNode>
  /** Resolves when every node says that the cluster works. */
  untilWorking(): Promise<void>
  /** Begins to move a slot: `to` takes it in, `from` gives its keys away. */
  beginMove(slot: number, from: TestClusterNode, to: TestClusterNode): Promise<void>
  /** Moves up to `count` keys of a slot that is being moved; answers how many there were. */
  moveKeys(slot: number, from: TestClusterNode, to: TestClusterNode, count: number): Promise<number>
  /** The slot belongs to `to` from now on. */
  endMove(slot: number, to: TestClusterNode): Promise<void>
  /** Ends all processes and removes their folders. */
  stop(): Promise<void>
}

export interface TestClusterNode {
  readonly server: TestRedis
  readonly address: string
  /** Its id in the cluster. */
  readonly id: string
  /** One command on a connection of its own. */
  call(command: string, ...args: (string | number)[]): Promise<unknown>
}

/** How long a node is silent until the others say so. Short, so that a restart is noticed within a test. */
const nodeTimeoutMs = 1_000
const workingDeadlineMs = 30_000

/** A real cluster on loopback: three primaries with a third of the slots each, nothing replicated. */
export async function startTestCluster(): Promise<TestCluster> {
  const servers = await Promise.all([startNode(), startNode(), startNode()])
  try {
    const nodes = await Promise.all(servers.map(nodeOf))
    await Promise.all(
      nodes.map(async (node, i) => {
        const [from, to] = [i, i + 1].map((n) => Math.floor((n * hashSlotCount) / nodes.length))
        await node.call('CLUSTER', 'ADDSLOTSRANGE', from ?? 0, (to ?? 0) - 1)
        await node.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
      }),
    )
    const [first] = nodes
    for (const { server } of nodes.slice(1)) {
      await first?.call('CLUSTER', 'MEET', '127.0.0.1', server.port, busPorts.get(server) ?? 0)
    }
    const cluster = clusterOf(nodes)
    await cluster.untilWorking()
    return cluster
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()))
    throw error
  }
}

const busPorts = new WeakMap<TestRedis, number>()

async function startNode(): Promise<TestRedis> {
  // The usual one, ten thousand above, may be none or taken.
  const busPort = await freePort()
  const server = await startTestRedis({
    persistence: 'always',
    extraArgs: [
      ...['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-port', String(busPort)],
      ...['--cluster-node-timeout', String(nodeTimeoutMs), '--cluster-require-full-coverage', 'no'],
    ],
  })
  busPorts.set(server, busPort)
  return server
}

async function nodeOf(server: TestRedis): Promise<TestClusterNode> {
  const call = async (command: string, ...args: (string | number)[]): Promise<unknown> => {
    const redis = new Redis(server.url, { lazyConnect: true, protocol: 2, retryStrategy: null, commandTimeout: 5_000 })
    redis.on('error', () => undefined)
    try {
      await redis.connect()
      return await redis.call(command, ...args)
    } finally {
      redis.disconnect()
    }
  }
  return { server, address: `127.0.0.1:${server.port}`, id: String(await call('CLUSTER', 'MYID')), call }
}

function clusterOf(nodes: readonly TestClusterNode[]): TestCluster {
  const at = (address: string): TestClusterNode => {
    const node = nodes.find((one) => one.address === address)
    if (node === undefined) throw new Error(`${address} is none of the nodes`)
    return node
  }
  const everywhere = (...args: (string | number)[]) => Promise.all(nodes.map((node) => node.call('CLUSTER', ...args)))
  return {
    url: `redis+cluster://${nodes.map(({ address }) => address).join(',')}`,
    seeds: nodes.map(({ server }) => server.url),
    nodes,
    async ownerOf(key) {
      const ranges = (await Promise.any(nodes.map((node) => node.call('CLUSTER', 'SLOTS')))) as Range[]
      const slot = hashSlotOf(key)
      const range = ranges.find(([from, to]) => from <= slot && slot <= to)
      if (range === undefined) throw new Error(`nobody serves slot ${slot}`)
      return at(`${range[2][0]}:${range[2][1]}`)
    },
    async untilWorking() {
      const works = async () => {
        const told = (await everywhere('INFO')).map(String)
        return told.every((info) => /cluster_state:ok/.test(info) && info.includes(`cluster_slots_ok:${hashSlotCount}`))
      }
      await eventually(works, { deadlineMs: workingDeadlineMs, everyMs: 50, what: 'a cluster that works' })
    },
    async beginMove(slot, from, to) {
      await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
      await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    },
    async moveKeys(slot, from, to, count) {
      const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, count)) as string[]
      if (keys.length > 0) await from.call('MIGRATE', '127.0.0.1', to.server.port, '', 0, 5_000, 'KEYS', ...keys)
      return keys.length
    },
    async endMove(slot, to) {
      // The new owner first: should the order be the other way around, nobody would serve it for a moment.
      await to.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
      await everywhere('SETSLOT', slot, 'NODE', to.id)
    },
    stop: async () => {
      await Promise.all(nodes.map(({ server }) => server.stop()))
    },
  }
}

type Range = [from: number, to: number, primary: [host: string, port: number]]
