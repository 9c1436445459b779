import { isRiverbankError, RiverbankError } from '../../../src/base/errors.ts'
import type { PartitionAssignment, EventLog, GroupHandler } from '../../../src/ports/log.ts'
import type { StateStore } from '../../../src/ports/states.ts'
import { EntityStates, type EntityStatesOptions } from '../../../src/process/entity-states.ts'
import type { Pipeline } from '../../../src/process/pipeline.ts'
import type { Sleeper } from '../../../src/process/retry.ts'
import type { Protocol } from './protocol.ts'
import { wire } from './wiring.ts'
import type { Step } from './world.ts'

/** What is changed in a member, to break one rule of the protocol. */
export interface Plant {
  readonly name: string
  readonly store?: (store: StateStore, protocol: Protocol) => StateStore
  readonly states?: (options: EntityStatesOptions) => EntityStates
  readonly pipeline?: (pipeline: Pipeline, store: StateStore) => Pipeline
  readonly publish?: (publish: EventLog['publish']) => EventLog['publish']
  readonly assignment?: (assignment: PartitionAssignment) => PartitionAssignment
  readonly handler?: (handler: GroupHandler, protocol: Protocol) => GroupHandler
  /** The log takes every commit, whoever it is from. */
  readonly isUnfenced?: boolean
  /** The store is the same one to everybody, whatever life it is in. */
  readonly isLifeless?: boolean
}

export const nothingPlanted: Plant = { name: 'nothing' }

type Verdict = 'answered' | 'lost'

interface Held {
  readonly generation: number
  readonly ending: AbortController
}

/** Nobody waits here: time is the schedule's. */
const clock: Sleeper = { nowMs: () => 0, sleep: () => Promise.resolve() }

/** One process: one cache of states, one connection to each server, any number of partitions. */
export class Member {
  isAlive = true
  isFrozen = false
  readonly #protocol: Protocol
  readonly #handler: GroupHandler
  readonly #held = new Map<number, Held>()
  readonly #waiting: ((verdict: Verdict) => void)[] = []
  readonly #seed: number
  #calls = 0

  constructor(protocol: Protocol, seed: number) {
    this.#protocol = protocol
    this.#seed = seed
    const { plant, memory, topics, seen } = protocol
    const store = plant.store?.(this.#store(), protocol) ?? this.#store()
    const options = { store, cacheEntries: 1_000, cacheBytes: 2 ** 26, roundsMax: 100 }
    const publish: EventLog['publish'] = (records) =>
      this.#call('publish', null, async () => {
        this.#watchPublish(records)
        return memory.publish(records)
      })
    const { processor } = wire({
      store,
      states: plant.states?.(options) ?? new EntityStates(options),
      publish: plant.publish?.(publish) ?? publish,
      committed: async (_topic, partition) => memory.committed(partition),
      range: async (topic, partition) => memory.range(topic, partition),
      topics,
      clock,
      counts: seen,
      alter: (pipeline) => plant.pipeline?.(pipeline, store) ?? pipeline,
    })
    this.#handler = plant.handler?.(processor, protocol) ?? processor
  }

  /** Calls that wait to be let through. */
  get waiting(): number {
    return this.#waiting.length
  }

  get isCalling(): boolean {
    return this.isAlive && this.#calls > 0
  }

  get isBusy(): boolean {
    return this.#held.size > 0
  }

  partitions(): number[] {
    return [...this.#held.keys()]
  }

  holds(partition: number): boolean {
    return this.#held.has(partition)
  }

  /** Holds it, and nobody else was given it since. */
  owns(partition: number): boolean {
    return this.#held.get(partition)?.generation === this.#protocol.memory.generation(partition)
  }

  release(choice: number, verdict: Verdict): void {
    const [call] = this.#waiting.splice(choice % this.#waiting.length, 1)
    call?.(verdict)
  }

  kill(): void {
    this.isAlive = false
  }

  drain(partition: number): void {
    this.#held.get(partition)?.ending.abort()
  }

  loseAll(): void {
    for (const { ending } of this.#held.values()) ending.abort()
  }

  /** Holds a partition until it is done, lost or drained. */
  async work(partition: number): Promise<void> {
    const { memory, topics, setup, plant, seen, failures } = this.#protocol
    const ending = new AbortController()
    const generation = memory.take(partition)
    this.#held.set(partition, { generation, ending })
    const range = () => memory.range(topics.events, partition)
    const plain: PartitionAssignment = {
      topic: topics.events,
      partition,
      committed: memory.committed(partition),
      range: range(),
      signal: ending.signal,
      commit: (next) =>
        this.#call('commit', partition, async () => {
          const isOwner = plant.isUnfenced === true || memory.generation(partition) === generation
          if (!isOwner) seen.fenced += 1
          memory.commit(partition, plant.isUnfenced === true ? memory.generation(partition) : generation, next)
        }),
    }
    const assignment = plant.assignment?.(plain) ?? plain
    try {
      let next = await this.#handler.assigned(assignment)
      for (let batch = 0; next < range().end && !ending.signal.aborted; batch += 1) {
        const size = 1 + ((this.#seed * 7 + partition * 5 + batch * 3 + setup.seed) % setup.batchMax)
        const records = memory.slice(topics.events, partition, next, next + size)
        const end = next + records.length
        next = await this.#handler.batch(assignment, {
          topic: topics.events,
          partition,
          records,
          next: end,
          end: range().end,
        })
      }
    } catch (error) {
      // What can be retried was tried often enough, or a commit whose answer was lost: the claim ends, and is taken
      // anew.
      const isExpected = isRiverbankError(error) && (error.code === 'fenced' || error.canRetry)
      if (!isExpected) failures.push(error)
    }
    this.#held.delete(partition)
  }

  #store(): StateStore {
    const { ledger, plant } = this.#protocol
    const connected = ledger.connect()
    const store = plant.isLifeless === true ? ledger.store : connected
    return {
      ...store,
      get epoch() {
        return connected.epoch
      },
      load: (keys) => this.#call('load', null, () => store.load(keys)),
      compareAndSet: (writes) => this.#call('write', null, () => store.compareAndSet(writes)),
      positions: (topic) => this.#call('positions', null, () => store.positions(topic)),
      advance: (topic, partition, next, from) => {
        const { epoch } = connected
        // The life is part of the command: one that was met after it was sent is not in it.
        return this.#call('advance', partition, async () => {
          return connected.epoch === epoch && (await store.advance(topic, partition, next, from))
        })
      },
    }
  }

  /** One call to the outside: waits for its turn, then runs; its answer may get lost. */
  async #call<Result>(step: Step, partition: number | null, run: () => Promise<Result>): Promise<Result> {
    const { ledger } = this.#protocol
    const { epoch } = ledger
    const verdict = await new Promise<Verdict>((resolve) => this.#waiting.push(resolve))
    const isOfLog = step === 'publish' || step === 'commit'
    const lost = new RiverbankError(isOfLog ? 'log_unavailable' : 'state_unavailable', `${step} ${partition}`, {
      canRetry: true,
      // Every other one is a time-out: what is left of the batch is tried in smaller parts.
      timedOut: this.#calls % 2 === 0,
    })
    // Sent on a connection that is gone: it was not answered, and did nothing.
    if (!isOfLog && ledger.epoch !== epoch) throw lost
    this.#calls += 1
    try {
      const result = await run()
      if (verdict === 'lost') throw lost
      return result
    } finally {
      this.#calls -= 1
    }
  }

  /** R7: an owner publishes nothing that its group has committed; only a zombie, which is not told, may. */
  #watchPublish(records: Parameters<EventLog['publish']>[0]): void {
    const { memory, failures } = this.#protocol
    for (const { value } of records) {
      const text = typeof value === 'string' ? value : new TextDecoder().decode(value)
      const { data } = JSON.parse(text) as { data?: { position?: { partition: number; offset: number } } }
      // A label that had waited is sent again: it answers no record.
      if (data?.position === undefined) continue
      const { partition, offset } = data.position
      if (this.owns(partition) && offset < (memory.committed(partition) ?? 0)) {
        failures.push(new Error(`R7: ${partition}:${offset} was committed, and is published again`))
      }
    }
  }
}
