export interface ProgressDisplayOptions {
  readonly write: (text: string) => void
  /** Draws a bar over itself; else prints a plain line every few seconds. */
  readonly tty: boolean
  readonly colour: boolean
  /** Monotonic. */
  readonly nowMs: () => number
  readonly label: string
  /** The number of events to come; null if unknown, as with live traffic. */
  readonly total: number | null
}

const barCells = 24
const barEveryMs = 100
const lineEveryMs = 5_000

/** Shows the progress of a stream, its rate and the time left. Call `update` as often as you like. */
export class ProgressDisplay {
  readonly #options: ProgressDisplayOptions
  readonly #startMs: number
  #shownMs: number
  #widest = 0

  constructor(options: ProgressDisplayOptions) {
    this.#options = options
    this.#startMs = options.nowMs()
    // The first bar comes at once, the first line only after the interval.
    this.#shownMs = options.tty ? -Infinity : this.#startMs
  }

  update(done: number, retries = 0): void {
    const nowMs = this.#options.nowMs()
    if (nowMs - this.#shownMs < (this.#options.tty ? barEveryMs : lineEveryMs)) return
    this.#shownMs = nowMs
    this.#show(done, retries, nowMs)
  }

  /** Shows the final state, always. */
  end(done: number, retries = 0): void {
    this.#show(done, retries, this.#options.nowMs())
    if (this.#options.tty) this.#options.write('\n')
  }

  #show(done: number, retries: number, nowMs: number): void {
    const { tty, colour, write } = this.#options
    const text = this.#text(done, retries, nowMs)
    if (!tty) {
      write(`${text}\n`)
      return
    }
    this.#widest = Math.max(this.#widest, text.length)
    const padded = text.padEnd(this.#widest)
    write(`\r${colour ? padded.replace(/█+/, '\u001b[32m$&\u001b[39m') : padded}`)
  }

  #text(done: number, retries: number, nowMs: number): string {
    const { label, total, tty } = this.#options
    const seconds = Math.max((nowMs - this.#startMs) / 1000, 0.001)
    const perSecond = done / seconds
    const parts = [label]
    if (total !== null && total > 0) {
      const share = Math.min(done / total, 1)
      if (tty) parts.push(bar(share))
      parts.push(`${Math.floor(share * 100)}%`, `${grouped(done)} of ${grouped(total)} events`)
    } else parts.push(`${grouped(done)} events`)
    parts.push(`${grouped(Math.round(perSecond))}/s`)
    if (total !== null && done < total && perSecond > 0) parts.push(`${clock((total - done) / perSecond)} left`)
    else parts.push(`in ${clock(seconds)}`)
    if (retries > 0) parts.push(`${grouped(retries)} retries`)
    return parts.join('  ')
  }
}

function bar(share: number): string {
  const filled = Math.round(share * barCells)
  return '█'.repeat(filled) + '░'.repeat(barCells - filled)
}

function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

function clock(seconds: number): string {
  const whole = Math.round(seconds)
  const pad = (value: number) => String(value).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`
}
