/** Progress and news go to stderr; stdout belongs to results. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** On a terminal a line that is drawn over, elsewhere (or with NO_COLOR) a plain line now and then. */
export class StatusLine {
  readonly #tty = process.stderr.isTTY && process.env['NO_COLOR'] === undefined
  #shownMs = -Infinity
  #width = 0

  show(text: string, force = false): void {
    const nowMs = performance.now()
    if (!force && nowMs - this.#shownMs < (this.#tty ? 200 : 5_000)) return
    this.#shownMs = nowMs
    if (this.#tty) process.stderr.write(`\r${text.padEnd(this.#width)}`)
    else process.stderr.write(`${text}\n`)
    this.#width = text.length
  }

  end(): void {
    if (this.#tty && this.#width > 0) process.stderr.write('\n')
    this.#width = 0
  }
}
