/**
 * A token bucket: `perSecond` tokens flow in evenly, and it saves at most those of `burstMs`, so that the stream makes
 * up for a stall in part, never in one wave. The clock is the caller's, in milliseconds.
 */
export class Pace {
  readonly #perMs: number
  readonly #capacity: number
  #tokens = 1
  #lastMs: number

  constructor(perSecond: number, burstMs: number, nowMs: number) {
    this.#perMs = perSecond / 1000
    this.#capacity = Math.max(1, this.#perMs * burstMs)
    this.#lastMs = nowMs
  }

  /** Milliseconds until there is a token; 0: now. */
  waitMs(nowMs: number): number {
    if (nowMs > this.#lastMs) {
      this.#tokens = Math.min(this.#capacity, this.#tokens + (nowMs - this.#lastMs) * this.#perMs)
      this.#lastMs = nowMs
    }
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#perMs
  }

  /** Uses one token; the caller asked {@link waitMs} before. */
  take(): void {
    this.#tokens -= 1
  }
}
