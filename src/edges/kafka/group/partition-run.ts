import type { PartitionAssignment } from '../../../ports/log.ts'

/**
 * One partition during one generation of the group. It ends in two steps: aborted, when the member is about to give it
 * back (the running call may still commit), and revoked, when another member may have it.
 */
export class PartitionRun {
  readonly topic: string
  readonly partition: number
  readonly #controller = new AbortController()
  /** The handler's partition assignment; null until the handler was called for the first time. */
  assignment: PartitionAssignment | null = null
  /** The offset at which reading goes on; meaningless before `ready`. */
  position = -1
  /** The handler has answered its first position: batches may come. */
  ready = false
  #revoked = false
  readonly #work = new Set<Promise<unknown>>()

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get key(): string {
    return partitionKeyOf(this.topic, this.partition)
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

export function partitionKeyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

/** The partitions of one session, and the releases of those that it gives back. */
export class PartitionRuns {
  readonly #runs = new Map<string, PartitionRun>()
  /** The last release of each partition, also across sessions: its next assignment waits for that. */
  readonly #releases: Map<string, Promise<void>>

  constructor(releases: Map<string, Promise<void>>) {
    this.#releases = releases
  }

  get size(): number {
    return this.#runs.size
  }

  get busy(): boolean {
    return [...this.#runs.values()].some((run) => run.busy)
  }

  add(run: PartitionRun): void {
    this.#runs.set(run.key, run)
  }

  get(topic: string, partition: number): PartitionRun | undefined {
    return this.#runs.get(partitionKeyOf(topic, partition))
  }

  async idle(): Promise<void> {
    await Promise.all([...this.#runs.values()].map((run) => run.idle()))
  }

  /** Resolves when the partitions have been released by their last holders. */
  async free(runs: readonly PartitionRun[]): Promise<void> {
    await Promise.all(runs.map(async (run) => this.#releases.get(run.key)))
  }

  /** Asks the running calls to end; they may still commit. */
  abortAll(): void {
    for (const run of this.#runs.values()) run.abort()
  }

  /** Revokes every partition; calls `released`, which must not reject, for each after its last call has settled. */
  async revokeAll(released: (run: PartitionRun) => Promise<void>): Promise<void> {
    const runs = [...this.#runs.values()]
    this.#runs.clear()
    await Promise.all(runs.map((run) => this.#revoke(run, released)))
  }

  #revoke(run: PartitionRun, released: (run: PartitionRun) => Promise<void>): Promise<void> {
    run.revoke()
    const release = run
      .idle()
      .then(() => released(run))
      .finally(() => {
        if (this.#releases.get(run.key) === release) this.#releases.delete(run.key)
      })
    this.#releases.set(run.key, release)
    return release
  }
}
