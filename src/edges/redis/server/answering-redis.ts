import { Redis, type RedisOptions } from 'ioredis'
import { loopClock, type Deadline } from '../../../clock/loop-clock.ts'

/** The message of a command without an answer in time; ioredis has the same for its own timer. */
export const timedOutMessage = 'Command timed out'

/** The options of ioredis, without those that this class sets. */
type Options = Omit<RedisOptions, 'replyMapping' | 'connectTimeout' | 'commandTimeout' | 'socketTimeout'>
type Sent = Parameters<Redis['sendCommand']>

interface Waiting {
  readonly command: Sent[0]
  readonly dueMs: number
}

/**
 * A client whose limits measure the server. Those of ioredis (`commandTimeout`, `socketTimeout`, `connectTimeout`) are
 * timers, which fire before Node reads the sockets: after a busy second of our own loop they call a server silent whose
 * replies are all there. This client uses deadlines of the loop clock.
 */
export class AnsweringRedis extends Redis {
  readonly #limitMs: number
  /** Commands without an answer, oldest first: all have one limit, and Redis answers in order. */
  readonly #waiting: Waiting[] = []
  #next: Deadline | null = null
  #connecting: Deadline | null = null
  #silence: Deadline | null = null

  /** `limitMs` limits a command and a connection; after twice as long without a byte the client gives the peer up. */
  constructor(url: string, limitMs: number, options: Options) {
    super(url, { ...options, connectTimeout: 0 })
    this.#limitMs = limitMs
    this.on('connecting', () => this.#onConnecting())
    for (const event of ['connect', 'close', 'end']) this.on(event, () => this.#connecting?.cancel())
    this.on('close', () => this.#silence?.cancel())
  }

  override sendCommand(...sent: Sent): unknown {
    const answer = super.sendCommand(...sent)
    const [command] = sent
    // A command keeps its arguments, maybe megabytes: an answered one must not stay here.
    while (this.#waiting[0]?.command.isSettled === true) this.#waiting.shift()
    if (!command.isSettled) {
      this.#waiting.push({ command, dueMs: loopClock.nowMs() + this.#limitMs })
      if (this.#next === null) this.#next = loopClock.after(this.#limitMs, () => this.#judge())
    }
    return answer
  }

  #judge(): void {
    const nowMs = loopClock.nowMs()
    let isLate = false
    for (let oldest = this.#waiting[0]; oldest !== undefined; oldest = this.#waiting[0]) {
      const { command, dueMs } = oldest
      if (!command.isSettled) {
        if (dueMs > nowMs) break
        isLate = true
        command.reject(new Error(timedOutMessage))
      }
      this.#waiting.shift()
    }
    const [oldest] = this.#waiting
    this.#next = oldest === undefined ? null : loopClock.after(oldest.dueMs - nowMs, () => this.#judge())
    if (isLate) this.#watchSilence()
  }

  /** Drops the connection to a peer that vanished, instead of timing out command after command. */
  #watchSilence(): void {
    const { stream } = this
    const { bytesRead } = stream
    this.#silence?.cancel()
    this.#silence = loopClock.after(this.#limitMs, () => {
      if (stream.bytesRead === bytesRead) stream.destroy(new Error(`no word from redis for ${2 * this.#limitMs} ms`))
    })
  }

  #onConnecting(): void {
    this.#connecting?.cancel()
    this.#connecting = loopClock.after(this.#limitMs, () => this.stream.destroy(new Error('connect ETIMEDOUT')))
  }
}
