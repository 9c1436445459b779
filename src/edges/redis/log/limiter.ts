/** Runs at most so many at a time, first come first served. */
export class Limiter {
  #free: number
  readonly #queue: (() => void)[] = []

  constructor(concurrency: number) {
    this.#free = concurrency
  }

  async run<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#queue.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#queue.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}

/** A pause that can be cut short; it keeps a wake-up that comes before it. */
export class Pause {
  #woken = false
  #wake: () => void = () => undefined

  wake(): void {
    this.#woken = true
    this.#wake()
  }

  async atMost(ms: number): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#woken = false
  }
}
