import type { Claim } from '../../../ports/log.ts'

/**
 * One partition during one generation of the group. It ends in two steps: aborted, when it is about to be given back
 * (the running call may still commit), and revoked, when another member may have it.
 */
export class Slot {
  readonly topic: string
  readonly partition: number
  readonly #controller = new AbortController()
  /** What the handler holds; null until it was called for the first time. */
  claim: Claim | null = null
  /** Where reading goes on; meaningless before `ready`. */
  position = -1
  /** The handler has said where to start: batches may come. */
  ready = false
  #revoked = false
  readonly #work = new Set<Promise<unknown>>()

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get key(): string {
    return slotKey(this.topic, this.partition)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  isAborted(): boolean {
    return this.#controller.signal.aborted
  }

  get busy(): boolean {
    return this.#work.size > 0
  }

  get revoked(): boolean {
    return this.#revoked
  }

  abort(): void {
    this.#controller.abort()
  }

  revoke(): void {
    this.#revoked = true
    this.abort()
  }

  /** Remembers the handler's calls, so that {@link idle} can wait for them. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#work.add(work)
    try {
      return await work
    } finally {
      this.#work.delete(work)
    }
  }

  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work)
  }
}

export function slotKey(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

/** The partitions of one session, and the release of each that it gives back. */
export class SlotTable {
  readonly #slots = new Map<string, Slot>()
  /** The last release of each partition, also across sessions: the next claim of it waits for that. */
  readonly #releases: Map<string, Promise<void>>

  constructor(releases: Map<string, Promise<void>>) {
    this.#releases = releases
  }

  get size(): number {
    return this.#slots.size
  }

  get busy(): boolean {
    return [...this.#slots.values()].some((slot) => slot.busy)
  }

  add(slot: Slot): void {
    this.#slots.set(slot.key, slot)
  }

  get(topic: string, partition: number): Slot | undefined {
    return this.#slots.get(slotKey(topic, partition))
  }

  async idle(): Promise<void> {
    await Promise.all([...this.#slots.values()].map((slot) => slot.idle()))
  }

  /** Resolves when the partitions have been released by their last holders. */
  async free(slots: readonly Slot[]): Promise<void> {
    await Promise.all(slots.map(async (slot) => this.#releases.get(slot.key)))
  }

  /** Tells the running calls to come to an end; they may still commit. */
  abortAll(): void {
    for (const slot of this.#slots.values()) slot.abort()
  }

  /** Takes every partition away; `released` is called for each after its last call has settled, and must not reject. */
  async revokeAll(released: (slot: Slot) => Promise<void>): Promise<void> {
    const slots = [...this.#slots.values()]
    this.#slots.clear()
    await Promise.all(slots.map((slot) => this.#revoke(slot, released)))
  }

  #revoke(slot: Slot, released: (slot: Slot) => Promise<void>): Promise<void> {
    slot.revoke()
    const release = slot
      .idle()
      .then(() => released(slot))
      .finally(() => {
        if (this.#releases.get(slot.key) === release) this.#releases.delete(slot.key)
      })
    this.#releases.set(slot.key, release)
    return release
  }
}
