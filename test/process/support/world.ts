import { names, readConfig } from '../../../src/app/installation/settings/config.ts'
import { loadProject } from '../../../src/app/installation/settings/project.ts'
import type { Definitions } from '../../../src/app/installation/settings/definitions.ts'
import { topicSpecs } from '../../../src/app/installation/servers/topics.ts'
import { openClusterStateStore } from '../../../src/edges/redis/cluster/cluster-state-store.ts'
import {
  openClusterGenerationStore,
  openRedisGenerationStore,
} from '../../../src/edges/redis/states/generation-store.ts'
import { openRedisEventLog, type RedisEventLog } from '../../../src/edges/redis/log/event-log.ts'
import { openRedisStateStore } from '../../../src/edges/redis/states/state-store.ts'
import type { GenerationStore } from '../../../src/ports/generations.ts'
import { EntityStates } from '../../../src/process/entity-states.ts'
import type { Pipeline } from '../../../src/process/pipeline.ts'
import { StateMigration } from '../../../src/process/assignment/state-migration.ts'
import { clock, compiled, quiet, wire, type Counts, type Wiring } from './wiring.ts'
import { Witness } from './witness.ts'
import type { PartitionAssignment, GroupHandler, LogRecord } from '../../../src/ports/log.ts'
import type { StateStore } from '../../../src/ports/states.ts'

/** One call of a worker to the outside, in the order of a batch. */
export type Step = 'layouts' | 'metadata' | 'positions' | 'load' | 'write' | 'advance' | 'publish' | 'commit'

/** Runs before and after each call; what it throws is what the call throws. */
export type Around = <Result>(step: Step, partition: number | null, call: () => Promise<Result>) => Promise<Result>

export interface Parts {
  readonly store: StateStore
  readonly pipeline: Pipeline
  readonly handler: GroupHandler
  readonly counts: Counts
}

/** Who scores in a worker; without it one model does. */
export interface Scoring extends Pick<Wiring, 'models' | 'metrics'> {
  readonly handler: (handler: GroupHandler) => GroupHandler
}

export interface Work {
  readonly scoring?: Scoring
  readonly maxRecords?: number
}

export interface WorldOptions {
  readonly url: string
  readonly namespace: string
  readonly partitions: number
  readonly maxRecords: number
  /** Nodes of the cluster that holds the states; without it they are where the log is. */
  readonly statesSeeds?: readonly string[]
  /** The shipped definitions, unless others are given; see {@link World.evolved}. */
  readonly compiled?: Definitions
}

/** One installation on a server of its own, with the shipped definitions; states and log under names of their own. */
export class World {
  readonly topics: ReturnType<typeof names>['topics']
  readonly group: string
  readonly log: RedisEventLog
  readonly store: StateStore
  /** Sees every publish and commit of every worker. */
  readonly witness = new Witness()
  readonly #options: WorldOptions

  private constructor(options: WorldOptions, log: RedisEventLog, store: StateStore) {
    const { topics, groups } = names({ NAMESPACE: options.namespace, project: loadProject({}) })
    this.topics = topics
    this.group = groups.process
    this.log = log
    this.store = store
    this.#options = options
  }

  static async open(options: WorldOptions): Promise<World> {
    const world = new World(options, await openLog(options), await openStates(options))
    const config = readConfig({
      RIVERBANK_NAMESPACE: options.namespace,
      RIVERBANK_PARTITIONS: String(options.partitions),
    })
    for (const spec of topicSpecs(config)) await world.log.createTopic(spec)
    return world
  }

  /** The same installation, run by another version of the program. */
  evolved(own: Definitions): Promise<World> {
    return World.open({ ...this.#options, compiled: own })
  }

  get partitions(): number {
    return this.#options.partitions
  }

  /** The prefix of every key of the states. */
  get statesNamespace(): string {
    return statesNamespace(this.#options)
  }

  /** A processor as the role wires it, with `around` between it and the outside. Its store is its own connection. */
  async parts(
    log: RedisEventLog,
    around: Around = (_step, _partition, call) => call(),
    scoring: Partial<Scoring> = {},
  ): Promise<Parts> {
    const real = await openStates(this.#options)
    const store: StateStore = {
      get epoch() {
        return real.epoch
      },
      load: (keys) => around('load', null, () => real.load(keys)),
      compareAndSet: (writes) => around('write', null, () => real.compareAndSet(writes)),
      positions: (topic) => around('positions', null, () => real.positions(topic)),
      advance: (topic, partition, next, from) =>
        around('advance', partition, () => real.advance(topic, partition, next, from)),
      layouts: () => real.layouts(),
      keepLayouts: (layouts) => around('layouts', null, () => real.keepLayouts(layouts)),
      metadata: (name) => around('metadata', null, () => real.metadata(name)),
      replaceMetadata: (name, before, after) =>
        around('metadata', null, () => real.replaceMetadata(name, before, after)),
      close: () => real.close(),
    }
    const own = this.#options.compiled ?? compiled
    const committedOf = (topic: string) => log.committed(this.group, topic)
    const migration = new StateMigration({ store, plan: own.plan, committed: committedOf, clock, logger: quiet })
    const counts: Counts = { conflicts: 0, rewinds: 0, batches: 0 }
    const { pipeline, processor } = wire({
      store,
      states: new EntityStates({ store, migration, cacheEntries: 1_000, cacheBytes: 2 ** 26, roundsMax: 100 }),
      compiled: own,
      migration,
      publish: (records) =>
        around('publish', null, async () => {
          const positions = await log.publish(records)
          this.witness.published(records)
          return positions
        }),
      committed: async (topic, partition) => (await log.committed(this.group, topic)).get(partition) ?? null,
      range: async (topic, partition) => (await log.describeTopic(topic))?.[partition] ?? null,
      topics: this.topics,
      clock,
      counts,
      ...(scoring.models === undefined ? {} : { models: scoring.models }),
      ...(scoring.metrics === undefined ? {} : { metrics: scoring.metrics }),
    })
    const guarded = (assignment: PartitionAssignment): PartitionAssignment => {
      const known = bindsLake.get(assignment)
      if (known !== undefined) return known
      const { topic, partition, committed, range, signal } = assignment
      const commit = (next: number) =>
        around('commit', partition, async () => {
          await this.witness.committing(this, partition, next)
          await assignment.commit(next)
        })
      const wrapped: PartitionAssignment = { topic, partition, committed, range, signal, commit }
      bindsLake.set(assignment, wrapped)
      return wrapped
    }
    const bindsLake = new WeakMap<PartitionAssignment, PartitionAssignment>()
    const handler: GroupHandler = {
      assigned: (assignment) => processor.assigned(guarded(assignment)),
      batch: (assignment, batch) => processor.batch(guarded(assignment), batch),
    }
    return { store, pipeline, handler: scoring.handler?.(handler) ?? handler, counts }
  }

  /** A worker that is a member of the group, until it is stopped or fails. */
  async work(around?: Around, { scoring, maxRecords = this.#options.maxRecords }: Work = {}) {
    const log = await openLog(this.#options)
    const parts = await this.parts(log, around, scoring)
    const subscription = await log.consume(
      {
        group: this.group,
        topics: [this.topics.events],
        maxRecords,
        maxBytes: 4_194_304,
        maxWaitMs: 20,
        sessionTimeoutMs: 1_500,
        concurrency: this.partitions,
      },
      parts.handler,
    )
    return {
      ...parts,
      finished: subscription.finished,
      async stop() {
        await subscription.stop()
        await Promise.all([log.close(), parts.store.close()])
      },
    }
  }

  /** A connection of its own to which models score. */
  openGenerations(): Promise<GenerationStore> {
    const own = { namespace: this.statesNamespace, eventType: 'payment.initiated', commandTimeoutMs: 2_000 }
    const { url, statesSeeds } = this.#options
    return statesSeeds === undefined
      ? openRedisGenerationStore({ ...own, url })
      : openClusterGenerationStore({ ...own, seeds: statesSeeds })
  }

  /** Has the group committed everything there is? */
  async isDone(): Promise<boolean> {
    const ranges = (await this.log.describeTopic(this.topics.events)) ?? []
    const committed = await this.log.committed(this.group, this.topics.events)
    return ranges.every(({ partition, end }) => (committed.get(partition) ?? 0) === end)
  }

  /** Every record of a topic, by partition and offset. */
  async read(topic: string): Promise<LogRecord[]> {
    const ranges = (await this.log.describeTopic(topic)) ?? []
    const left = new Map(ranges.filter(({ start, end }) => end > start).map(({ partition, end }) => [partition, end]))
    const found: LogRecord[] = []
    if (left.size === 0) return found
    let finish: () => void = () => undefined
    const all = new Promise<void>((resolve) => {
      finish = resolve
    })
    const from = new Map(ranges.map(({ partition, start }) => [partition, start]))
    const tail = await this.log.tail({ topic, from, maxRecords: 500, maxWaitMs: 20 }, (batch) => {
      found.push(...batch.records)
      if (batch.next >= (left.get(batch.partition) ?? Infinity)) left.delete(batch.partition)
      if (left.size === 0) finish()
      return Promise.resolve()
    })
    await Promise.race([all, tail.finished])
    await tail.stop()
    return found.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  }

  async close(): Promise<void> {
    await Promise.all([this.log.close(), this.store.close()])
  }
}

function statesNamespace({ namespace }: WorldOptions): string {
  return `${namespace}-states`
}

function openLog({ url, namespace }: WorldOptions): Promise<RedisEventLog> {
  return openRedisEventLog({ url, namespace, commandTimeoutMs: 2_000 })
}

function openStates(options: WorldOptions): Promise<StateStore> {
  const own = { namespace: statesNamespace(options), commandTimeoutMs: 2_000 }
  const { url, statesSeeds } = options
  return statesSeeds === undefined
    ? openRedisStateStore({ ...own, url })
    : openClusterStateStore({ ...own, seeds: statesSeeds })
}
