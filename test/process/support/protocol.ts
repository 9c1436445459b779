import { setImmediate as turn } from 'node:timers/promises'
import { names } from '../../../src/app/installation/settings/config.ts'
import { loadProject } from '../../../src/app/installation/settings/project.ts'
import type { LogRecord } from '../../../src/ports/log.ts'
import type { StateStore } from '../../../src/ports/states.ts'
import { seeded } from '../../../scripts/fuzz/definitions.ts'
import type { Outside } from './invariants.ts'
import { MemoryLog } from './protocol-log.ts'
import { Member, type Plant } from './protocol-member.ts'
import { Ledger, type Vault } from './protocol-states.ts'
import { traffic } from './traffic.ts'
import type { Counts } from './wiring.ts'

export interface Setup {
  readonly seed: number
  readonly partitions: number
  readonly events: number
  readonly batchMax: number
}

/** `rewinds`: starts below the commit. `losses`: times the store lost acknowledged writes. */
export interface Seen extends Counts {
  crashes: number
  zombies: number
  fenced: number
  moves: number
  losses: number
  lostReplies: number
}

export const nothingSeen = (): Seen => ({
  crashes: 0,
  zombies: 0,
  fenced: 0,
  moves: 0,
  losses: 0,
  lostReplies: 0,
  conflicts: 0,
  rewinds: 0,
  batches: 0,
})

/** More than any schedule needs: whoever gets here goes round in circles. */
const stepsMax = 20_000
/** Dead and frozen ones aside. */
const membersMax = 3

/**
 * One installation in which nothing moves by itself: members of a group run the real pipeline, and each of their calls
 * to the outside waits to be let through. One call runs at a time, so a schedule is a list of choices, and the same
 * choices are the same story.
 */
export class Protocol implements Outside {
  readonly topics = names({ NAMESPACE: 'model', project: loadProject({}) }).topics
  readonly group = 'model'
  readonly setup: Setup
  readonly plant: Plant
  readonly memory: MemoryLog
  readonly ledger: Ledger
  readonly seen = nothingSeen()
  /** Said by whoever may not say it: a violated assumption, a publish below the commit. */
  readonly failures: unknown[] = []
  readonly #members: Member[] = []
  #incarnation = 0

  constructor(setup: Setup, vault: Vault, plant: Plant) {
    this.setup = setup
    this.plant = plant
    this.memory = new MemoryLog(setup.partitions)
    this.ledger = new Ledger(vault)
    const { seed, events } = setup
    const sent = traffic({ topic: this.topics.events, seed, events, customers: 4, terminals: 2 })
    this.memory.publish(sent.map(({ record }) => record))
    for (let partition = 0; partition < setup.partitions; partition += 1) this.#assign(partition, null)
  }

  get log(): Outside['log'] {
    const { memory, setup } = this
    return {
      committed: async () => memory.positions(),
      describeTopic: async (topic) =>
        Array.from({ length: setup.partitions }, (_, partition) => memory.range(topic, partition)),
    }
  }

  get store(): Pick<StateStore, 'load' | 'positions'> {
    return this.ledger.store
  }

  read(topic: string): Promise<readonly LogRecord[]> {
    return Promise.resolve(this.memory.read(topic))
  }

  /** Lets one waiting call of one member run, and everything that follows from it, up to the next calls. */
  async step(member: number, call: number, losesReply = false): Promise<void> {
    const awake = this.#awake.filter((one) => one.waiting > 0)
    const chosen = awake[member % Math.max(1, awake.length)]
    if (chosen === undefined) return
    if (losesReply) this.seen.lostReplies += 1
    chosen.release(call, losesReply ? 'lost' : 'answered')
    await this.#settled()
    this.#reassign()
    await this.#settled()
  }

  /** SIGKILL: what it waits for never comes, and others take its partitions. */
  async crash(member: number): Promise<void> {
    const victim = this.#pick(member)
    if (victim === undefined) return
    this.seen.crashes += 1
    victim.kill()
    await this.#takeOver(victim, member)
  }

  /** Silent for longer than its session: others take its partitions, and it knows nothing of it. */
  async freeze(member: number): Promise<void> {
    const victim = this.#pick(member)
    if (victim === undefined) return
    this.seen.zombies += 1
    victim.isFrozen = true
    await this.#takeOver(victim, member)
  }

  thaw(member: number): void {
    const frozen = this.#members.filter((one) => one.isFrozen)
    const chosen = frozen[member % Math.max(1, frozen.length)]
    if (chosen !== undefined) chosen.isFrozen = false
  }

  /** A rebalance: the owner finishes its batch, then the next one begins. */
  async move(partition: number): Promise<void> {
    const place = partition % this.setup.partitions
    const owner = this.#members.find((one) => one.isAlive && one.holds(place))
    if (owner === undefined || owner.isFrozen) return
    this.seen.moves += 1
    owner.drain(place)
    await this.#settled()
    this.#reassign()
    await this.#settled()
  }

  /** The store comes back without its newest writes. With `anew` the log lived there too: every claim is lost. */
  async rewind(count: number, anew: boolean): Promise<void> {
    if (this.ledger.writes === 0) return
    this.seen.losses += 1
    await this.ledger.lose(Math.min(count, this.ledger.writes))
    if (!anew) return
    for (let partition = 0; partition < this.setup.partitions; partition += 1) this.memory.take(partition)
    for (const member of this.#members) if (!member.isFrozen) member.loseAll()
    this.#reassign()
    await this.#settled()
  }

  /** FLUSHALL, while everybody goes on: zombies too, and whoever makes good an earlier loss. */
  async empty(): Promise<void> {
    if (this.ledger.writes === 0) return
    this.seen.losses += 1
    await this.ledger.empty()
  }

  /**
   * Lets everybody come to an end, in an order of the seed's; zombies too. Each partition gets a last record, because a
   * member learns of a loss when it has something to write.
   */
  async finish(): Promise<void> {
    const { partitions } = this.setup
    const last = Array.from({ length: partitions }, (_, partition) => partition)
    this.memory.publish(last.map((partition) => ({ topic: this.topics.events, partition, key: 'last', value: '{' })))
    const random = seeded(this.setup.seed)
    for (let steps = 0; ; steps += 1) {
      if (this.failures.length > 0) throw this.failures[0]
      if (steps > stepsMax) throw new Error('no progress')
      for (const member of this.#members) if (random.chance(0.05)) member.isFrozen = false
      this.#reassign()
      await this.#settled()
      if (!this.#members.some((one) => one.isAlive && one.isBusy)) {
        if (this.#isDone()) return
        continue
      }
      await this.step(random.below(8), random.below(4))
    }
  }

  get #awake(): Member[] {
    return this.#members.filter((one) => one.isAlive && !one.isFrozen)
  }

  #isDone(): boolean {
    return Array.from({ length: this.setup.partitions }, (_, partition) => partition).every(
      (partition) => (this.memory.committed(partition) ?? 0) === this.memory.range(this.topics.events, partition).end,
    )
  }

  #pick(member: number): Member | undefined {
    const awake = this.#awake
    return awake[member % Math.max(1, awake.length)]
  }

  async #takeOver(victim: Member, choice: number): Promise<void> {
    for (const partition of victim.partitions()) if (victim.owns(partition)) this.#assign(partition, choice)
    await this.#settled()
  }

  /** What nobody who lives holds, although it is not done, gets a new owner. */
  #reassign(): void {
    for (let partition = 0; partition < this.setup.partitions; partition += 1) {
      const { end } = this.memory.range(this.topics.events, partition)
      if ((this.memory.committed(partition) ?? 0) >= end) continue
      if (this.#members.some((one) => one.isAlive && one.owns(partition))) continue
      this.#assign(partition, partition)
    }
  }

  /** To one that is awake and does not work on it already, else to a new one. */
  #assign(partition: number, choice: number | null): void {
    const free = this.#awake.filter((one) => !one.holds(partition))
    const isFull = this.#awake.length >= membersMax
    const known = choice === null || (!isFull && choice % 3 === 0) ? undefined : free[choice % Math.max(1, free.length)]
    const member = known ?? this.#join()
    void member.work(partition)
  }

  #join(): Member {
    this.#incarnation += 1
    const member = new Member(this, this.#incarnation)
    this.#members.push(member)
    return member
  }

  /** Nobody computes any more: everybody waits for a call, or is done. */
  async #settled(): Promise<void> {
    do await turn()
    while (this.#members.some((one) => one.isCalling))
  }
}
