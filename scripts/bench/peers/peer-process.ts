import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { RiverbankError } from '../../../src/base/errors.ts'

export interface PeerCommand {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Gets all that the process says, but for standard output. */
  readonly logFile: string
}

const stopTimeoutMs = 10_000

/** A program of somebody else, as a child. Its input stays open: some end with it. */
export class PeerProcess {
  readonly #options: PeerCommand
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #hasEnded = false
  #output = ''
  #wake: () => void = () => undefined

  constructor(options: PeerCommand) {
    this.#options = options
    const log = openSync(options.logFile, 'a')
    this.#child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', log],
    })
    closeSync(log)
    // A peer must not outlive a benchmark that crashed.
    const killNow = () => void this.#child.kill('SIGKILL')
    process.once('exit', killNow)
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output = (this.#output + text).slice(-10_000)
      this.#wake()
    })
    this.#ended = new Promise<void>((resolve) => {
      this.#child.once('error', () => resolve())
      this.#child.once('exit', () => resolve())
    }).then(() => {
      this.#hasEnded = true
      process.off('exit', killNow)
      this.#wake()
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Errors: `peer_failed` when it has ended by itself. */
  check(): void {
    if (this.#hasEnded)
      throw new RiverbankError('peer_failed', `${this.#options.name} ended by itself\n${this.#tail()}`)
  }

  /** Waits until standard output has the text. Errors: `peer_failed`. */
  async untilSays(text: string): Promise<void> {
    while (!this.#output.includes(text)) {
      this.check()
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  /** Sends SIGTERM, and SIGKILL when it takes too long. Safe to call twice. */
  async stop(): Promise<void> {
    this.#child.stdin?.end()
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs)
    await this.#ended
    clearTimeout(timer)
  }

  #tail(): string {
    return `${readFileSync(this.#options.logFile, 'utf8').split('\n').slice(-20).join('\n')}\n${this.#output}`
  }
}
