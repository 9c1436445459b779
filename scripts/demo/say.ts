/** The output of a screen: a terminal can draw a line over. */
export interface ScreenOutput {
  write(text: string): void
  readonly isTerminal: boolean
  /** The current width of the terminal. */
  readonly columns: number
}

/** Between two statuses: a terminal draws them over, elsewhere they are lines that stay. */
const statusEveryMs = { terminal: 200, elsewhere: 5_000 } as const

/**
 * Shows news, and one line of status below them. A line printed while a status is shown goes above it: lines of the
 * roles never run into the status.
 */
export class Screen {
  readonly #output: ScreenOutput
  readonly #nowMs: () => number
  #status = ''
  #shownMs = -Infinity

  constructor(output: ScreenOutput, nowMs: () => number = () => performance.now()) {
    this.#output = output
    this.#nowMs = nowMs
  }

  say(text: string): void {
    if (!this.#output.isTerminal) this.#output.write(`${text}\n`)
    else this.#output.write(`${this.#erased()}${text}\n${this.#drawn()}`)
  }

  /** Shows a status, at most once in the interval unless forced. */
  show(status: string, force = false): void {
    const everyMs = this.#output.isTerminal ? statusEveryMs.terminal : statusEveryMs.elsewhere
    if (!force && this.#nowMs() - this.#shownMs < everyMs) return
    this.#shownMs = this.#nowMs()
    if (!this.#output.isTerminal) {
      this.#output.write(`${status}\n`)
      return
    }
    const erased = this.#erased()
    this.#status = status
    this.#output.write(`${erased}${this.#drawn()}`)
  }

  /** Keeps the last status as a line. */
  end(): void {
    if (this.#status !== '') this.#output.write('\n')
    this.#status = ''
    this.#shownMs = -Infinity
  }

  #erased(): string {
    return this.#status === '' ? '' : '\r\u001b[2K'
  }

  /** Cuts the status to the width: a terminal cannot draw over a wrapped line. */
  #drawn(): string {
    return this.#status.slice(0, Math.max(20, this.#output.columns - 1))
  }
}

/** Progress and news go to stderr; stdout belongs to results. With NO_COLOR statuses are plain lines now and then. */
export const screen = new Screen({
  write: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY && process.env['NO_COLOR'] === undefined,
  get columns() {
    return process.stderr.isTTY ? process.stderr.columns : Infinity
  },
})

export function say(text: string): void {
  screen.say(text)
}
