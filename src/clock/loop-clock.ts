/** Between two ticks. A limit ends at most this much late. */
const tickMs = 20
/** What one tick adds at most: a loop that was busy for seconds had one chance to read what had arrived, not many. */
const tickMsMax = 2 * tickMs

/** A limit that runs. */
export interface Deadline {
  /** Ends the limit without a call. Safe to call twice, and after the end. */
  cancel(): void
}

interface Running extends Deadline {
  readonly dueMs: number
  readonly onLate: () => void
  /** Its place in the list of those that run; -1 when it has ended. */
  place: number
}

/**
 * Time in which this process listens: the clock of every limit on how long another system may take to answer. A busy or
 * starved event loop runs its timers before it reads its sockets, so a timer calls a server silent whose answer has
 * been there for long. This clock stands still while the loop does, and a limit that has passed is judged only after
 * the sockets were read once more. A side that really says nothing is late after the limit on an idle loop, and after
 * `limit / 40 ms` turns of a loop however slow.
 */
export class LoopClock {
  /**
   * In no order. Not a Set: one that grows and shrinks with each request replaces its table again and again, and each old
   * table keeps the next one and what both held alive until a full collection. Scavenges of `serve` took 5 ms for that.
   */
  readonly #running: Running[] = []
  #timer: NodeJS.Timeout | null = null
  #nowMs = 0
  #unheardMs = 0
  #tickedAtMs = 0
  #nextDueMs = Infinity

  /** Milliseconds listened since some moment; it never goes back. */
  nowMs(): number {
    this.#start()
    return this.#nowMs
  }

  /** Milliseconds so far in which this process could not listen: its loop was busy, starved or frozen. */
  unheardMs(): number {
    this.#start()
    return this.#unheardMs
  }

  /** Calls `onLate` once when `limitMs` of listening have passed, unless it is cancelled before. */
  after(limitMs: number, onLate: () => void): Deadline {
    this.#start()
    const running: Running = {
      dueMs: this.#nowMs + limitMs + this.#sinceTickMs(),
      onLate,
      place: this.#running.length,
      cancel: () => this.#remove(running),
    }
    if (running.place === 0) this.#timer?.ref()
    this.#running.push(running)
    this.#nextDueMs = Math.min(this.#nextDueMs, running.dueMs)
    return running
  }

  /** Waits at most this long until the work has settled; answers whether it has. Its rejection passes through. */
  async within(limitMs: number, work: Promise<unknown> | undefined): Promise<boolean> {
    let deadline: Deadline | undefined
    const late = new Promise<boolean>((resolve) => {
      deadline = this.after(limitMs, () => resolve(false))
    })
    try {
      return await Promise.race([Promise.resolve(work).then(() => true), late])
    } finally {
      deadline?.cancel()
    }
  }

  #start(): void {
    if (this.#timer !== null) return
    this.#tickedAtMs = performance.now()
    // A clock keeps no process alive; a limit does, as long as it runs.
    this.#timer = setInterval(() => this.#tick(), tickMs).unref()
  }

  /** What the next tick adds for the time before the limit began. */
  #sinceTickMs(): number {
    return Math.min(performance.now() - this.#tickedAtMs, tickMsMax)
  }

  #remove(running: Running): void {
    const { place } = running
    if (place < 0) return
    const last = this.#running.pop()
    if (last !== undefined && last !== running) {
      this.#running[place] = last
      last.place = place
    }
    running.place = -1
    if (this.#running.length === 0) this.#timer?.unref()
  }

  #tick(): void {
    const atMs = performance.now()
    const passedMs = atMs - this.#tickedAtMs
    const heardMs = Math.min(passedMs, tickMsMax)
    this.#nowMs += heardMs
    this.#unheardMs += passedMs - heardMs
    this.#tickedAtMs = atMs
    // Node reads its sockets between its timers and its immediates: what has arrived is heard before it is judged.
    if (this.#nowMs >= this.#nextDueMs) setImmediate(() => this.#judge())
  }

  #judge(): void {
    const late: Running[] = []
    this.#nextDueMs = Infinity
    for (const running of this.#running) {
      if (running.dueMs <= this.#nowMs) late.push(running)
      else this.#nextDueMs = Math.min(this.#nextDueMs, running.dueMs)
    }
    late.sort((a, b) => a.dueMs - b.dueMs)
    for (const running of late) {
      // One that is late may have cancelled another.
      if (running.place < 0) continue
      this.#remove(running)
      running.onLate()
    }
  }
}

/** A process has one event loop, and so one such clock. */
export const loopClock = new LoopClock()
