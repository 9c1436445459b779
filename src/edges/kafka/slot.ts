import type { Claim } from '../../ports.ts'

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

  get aborted(): boolean {
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
