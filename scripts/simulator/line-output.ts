import type { Writable } from 'node:stream'

/**
 * Writes text to a stream whose reader may be slow or leave: `head` closes the pipe after ten lines, and that is no
 * error.
 */
export class LineOutput {
  readonly #stream: Writable
  #closed = false
  #failure: Error | null = null

  constructor(stream: Writable) {
    this.#stream = stream
    // Node also emits the error that the callback of `write` gets; without a listener it would end the process.
    stream.on('error', (error: NodeJS.ErrnoException) => this.#fail(error))
  }

  /** Resolves when the stream took it: true, or false when the reader has left. Rejects on any other error. */
  async write(text: string): Promise<boolean> {
    if (this.#closed) return false
    await new Promise<void>((resolve) => {
      this.#stream.write(text, (error) => {
        if (error instanceof Error) this.#fail(error)
        resolve()
      })
    })
    if (this.#failure !== null) throw this.#failure
    return !this.#closed
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#closed = true
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') this.#failure ??= error
  }
}
