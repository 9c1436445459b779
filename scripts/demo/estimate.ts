/** The rate counts only the last milliseconds: the beginning of a run says little about its end. */
const windowMs = 15_000

/** Estimates the progress of a run and the time that is left. */
export class Estimate {
  readonly total: number
  readonly #nowMs: () => number
  readonly #seen: { readonly atMs: number; readonly done: number }[] = []

  constructor(total: number, nowMs: () => number = () => performance.now()) {
    this.total = total
    this.#nowMs = nowMs
  }

  /** Such as `41% scored (118,000 of 290,000 events), about 25 s left`. */
  describe(done: number, what: string): string {
    const nowMs = this.#nowMs()
    this.#seen.push({ atMs: nowMs, done })
    while (this.#seen.length > 2 && nowMs - (this.#seen[1]?.atMs ?? nowMs) > windowMs) this.#seen.shift()
    const percent = this.total === 0 ? 100 : Math.floor((100 * Math.min(done, this.total)) / this.total)
    return `${percent}% ${what} (${grouped(done)} of ${grouped(this.total)} events)${this.#rest(done, nowMs)}`
  }

  #rest(done: number, nowMs: number): string {
    const [first] = this.#seen
    if (first === undefined || done <= first.done || nowMs - first.atMs < 1_000) return ''
    const seconds = Math.ceil(((this.total - done) * (nowMs - first.atMs)) / (done - first.done) / 1_000)
    if (seconds <= 0) return ''
    return `, about ${seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} minutes`} left`
  }
}

function grouped(count: number): string {
  return count.toLocaleString('en-US')
}
