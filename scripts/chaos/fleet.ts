import type { Word } from './messages.ts'
import type { RoleProcess } from './role-process.ts'
import { until } from './wait.ts'

const restartDelayMs = 200
/** The limit for three processors to start on a busy machine. */
const assignedMs = 180_000

/** The processors: the fleet restarts one that ends by itself, as a supervisor would. */
export class Fleet {
  readonly #launch: (name: string) => RoleProcess
  /** All processors that ever ran. */
  readonly #all: RoleProcess[] = []
  readonly #leaving = new Set<RoleProcess>()
  readonly #owners = new Map<number, RoleProcess>()
  readonly #partitions: number
  restarts = 0
  isTending = true

  constructor(partitions: number, launch: (name: string) => RoleProcess) {
    this.#partitions = partitions
    this.#launch = launch
  }

  get running(): RoleProcess[] {
    return this.#all.filter((one) => one.ended === null && !this.#leaving.has(one))
  }

  get ended(): RoleProcess[] {
    return this.#all.filter((one) => one.ended !== null)
  }

  add(): RoleProcess {
    const one = this.#launch(`process-${this.#all.length + 1}`)
    one.onWord = (word: Word) => {
      if (word.kind === 'assigned') this.#owners.set(word.partition, one)
    }
    this.#all.push(one)
    void one.gone.then(() => {
      if (!this.isTending || this.#leaving.has(one)) return
      this.restarts += 1
      setTimeout(() => {
        if (this.isTending) this.add()
      }, restartDelayMs)
    })
    return one
  }

  /** Ends a processor in order: it gives its partitions back. */
  async leave(one: RoleProcess): Promise<void> {
    this.#leaving.add(one)
    await one.stop()
  }

  ownedBy(one: RoleProcess): number[] {
    return [...this.#owners].filter(([, owner]) => owner === one).map(([partition]) => partition)
  }

  ownerOf(partition: number): RoleProcess | undefined {
    return this.#owners.get(partition)
  }

  /** Waits until running processors have all partitions, and each of them has one if there are enough. */
  async untilShared(): Promise<void> {
    const all = Array.from({ length: this.#partitions }, (_, partition) => partition)
    await until('every partition has an owner', assignedMs, () => {
      const { running } = this
      const owners = all.map((partition) => this.#owners.get(partition))
      const isOwned = owners.every((owner) => owner !== undefined && running.includes(owner))
      return isOwned && new Set(owners).size >= Math.min(running.length, this.#partitions)
    })
  }

  /** Waits until any processors have committed so many more batches, so that a fault meets running work. */
  async untilCommitted(batches: number): Promise<void> {
    const before = this.total('committed')
    await until(`${batches} batches are committed`, assignedMs, () => this.total('committed') >= before + batches)
  }

  total(kind: Word['kind']): number {
    return this.#all.reduce((sum, one) => sum + one.count(kind), 0)
  }

  rewinds(): number {
    return this.#all.reduce((sum, one) => sum + one.rewinds, 0)
  }

  troubles(): number {
    return this.#all.reduce((sum, one) => sum + one.troubles, this.restarts)
  }

  async stop(): Promise<void> {
    this.isTending = false
    await Promise.all(this.#all.map((one) => one.stop()))
  }

  lastLines(): string {
    return this.#all
      .slice(-6)
      .map(({ name, ended, lines }) => `--- ${name} (${ended ?? 'runs'})\n${lines.slice(-8).join('\n')}`)
      .join('\n')
  }
}
