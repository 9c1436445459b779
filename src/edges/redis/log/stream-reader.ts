import type { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { redisFailure } from '../server/connection.ts'
import { bufferIn, buffersIn, listIn, textIn } from '../server/reply.ts'

/** Id and fields, as XREAD answers them. */
export type StreamEntry = readonly [id: Buffer, fields: readonly Buffer[]]

export interface StreamRead {
  readonly stream: string
  /** Reads entries with a greater id. */
  readonly after: string
  readonly count: number
}

export interface StreamAnswer {
  /** Never empty. */
  readonly entries: readonly StreamEntry[]
  /** There may be more: as many entries came as were requested. */
  readonly more: boolean
}

interface Waiting extends StreamRead {
  readonly resolve: (answer: StreamAnswer | null) => void
  readonly reject: (error: Error) => void
}

/**
 * Waits for many streams on one blocking connection. An append wakes the reader at once, so the length of a block
 * delays nothing. When a caller adds a read while it blocks for others, CLIENT UNBLOCK makes it start over with all of
 * them.
 */
export class StreamReader {
  readonly #blocking: Redis
  readonly #commands: Redis
  readonly #blockMs: number
  readonly #waiting = new Set<Waiting>()
  #running = false
  #closed = false
  /** The read in flight: its requests, and whether it was asked to start over. */
  #flight: { readonly asked: ReadonlySet<Waiting>; interrupted: boolean } | null = null
  #clientId: number | null = null

  constructor(blocking: Redis, commands: Redis, blockMs: number) {
    this.#blocking = blocking
    this.#commands = commands
    this.#blockMs = blockMs
    blocking.on('close', () => {
      this.#clientId = null
    })
  }

  /**
   * Resolves with at least one entry, or with null once `signal` is aborted or the reader closed. Waits through lost
   * connections. A stream may have one read at a time: abort the other read first. Rejects with `log_unavailable` when
   * the server refuses the command for good.
   */
  read(request: StreamRead, signal: AbortSignal): Promise<StreamAnswer | null> {
    if (signal.aborted || this.#closed) return Promise.resolve(null)
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        signal.removeEventListener('abort', aborted)
        this.#waiting.delete(waiting)
      }
      const waiting: Waiting = {
        ...request,
        resolve: (answer) => {
          settle()
          resolve(answer)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      }
      const aborted = (): void => waiting.resolve(null)
      signal.addEventListener('abort', aborted, { once: true })
      this.#waiting.add(waiting)
      if (this.#flight !== null) void this.#interrupt()
      else if (!this.#running) void this.#run()
    })
  }

  close(): void {
    this.#closed = true
    for (const waiting of this.#waiting) waiting.resolve(null)
    this.#blocking.disconnect()
  }

  async #run(): Promise<void> {
    this.#running = true
    while (!this.#closed) {
      // Callers that got an answer request their next entries before this loop continues.
      await new Promise(setImmediate)
      if (this.#waiting.size === 0) break
      const asked = new Set(this.#waiting)
      try {
        this.#clientId ??= await this.#blocking.client('ID')
        this.#flight = { asked, interrupted: false }
        // One count for all reads: the smallest, for it stands for a limit of bytes.
        const count = Math.min(...[...asked].map((read) => read.count))
        this.#deliver(asked, count, await this.#ask([...asked], count))
      } catch (error) {
        await this.#recover(asked, error)
      } finally {
        this.#flight = null
      }
    }
    this.#running = false
  }

  #ask(reads: readonly StreamRead[], count: number): Promise<unknown> {
    return this.#blocking.callBuffer('XREAD', [
      ...['COUNT', count, 'BLOCK', this.#blockMs, 'STREAMS'],
      ...reads.map((read) => read.stream),
      ...reads.map((read) => read.after),
    ])
  }

  #deliver(asked: ReadonlySet<Waiting>, count: number, reply: unknown): void {
    if (reply === null) return
    const byStream = new Map<string, readonly StreamEntry[]>()
    for (const each of listIn(reply)) {
      const [stream, entries] = listIn(each)
      byStream.set(textIn(stream), listIn(entries).map(entryIn))
    }
    for (const waiting of asked) {
      const entries = byStream.get(waiting.stream)
      if (entries === undefined || entries.length === 0 || !this.#waiting.has(waiting)) continue
      waiting.resolve({ entries, more: entries.length >= count })
    }
  }

  async #recover(asked: ReadonlySet<Waiting>, error: unknown): Promise<void> {
    const failure = redisFailure('log_unavailable', 'reading the log', error)
    if (failure.canRetry) {
      await sleep(20)
      return
    }
    for (const waiting of asked) waiting.reject(failure)
  }

  /** CLIENT UNBLOCK may overtake its read: repeats it until it has met the read, or the read is over. */
  async #interrupt(): Promise<void> {
    const flight = this.#flight
    if (flight === null || flight.interrupted) return
    flight.interrupted = true
    while (this.#flight === flight && this.#clientId !== null && !this.#closed) {
      try {
        if ((await this.#commands.client('UNBLOCK', this.#clientId)) === 1) return
      } catch {
        // Without a connection the blocking read is about to end as well.
      }
      await sleep(1)
    }
  }
}

function entryIn(entry: unknown): StreamEntry {
  const [id, fields] = listIn(entry)
  return [bufferIn(id), buffersIn(fields)]
}
