import { setTimeout as delay } from 'node:timers/promises'
import type { Sent, Traffic } from './traffic.ts'
import { isRiverbankError, RiverbankError } from '../../src/base/errors.ts'
import type { EventLog } from '../../src/ports/log.ts'

const batchRecords = 10
const pauseMs = 60
const backlogRecords = 250
const sendMs = 90_000

/** A producer: sends each record until it is acknowledged, also through an outage, and keeps a copy. */
export class Sender {
  /** Payments and labels by their ids. */
  readonly events = new Map<string, Sent>()
  payments = 0
  readonly #log: EventLog
  readonly #traffic: Traffic
  #flowing: { readonly done: Promise<void>; stop(): void } | null = null
  #failure: { readonly error: unknown } | null = null

  constructor(log: EventLog, traffic: Traffic) {
    this.#log = log
    this.#traffic = traffic
  }

  /** Sends about 150 records a second, until `rest`. */
  flow(): void {
    let isStopped = false
    const run = async () => {
      while (!isStopped) {
        await this.send(this.#traffic.take(batchRecords))
        await delay(pauseMs)
      }
    }
    const done = run().catch((error: unknown) => {
      this.#failure = { error }
    })
    this.#flowing = { done, stop: () => (isStopped = true) }
  }

  async rest(): Promise<void> {
    this.#flowing?.stop()
    await this.#flowing?.done
    this.#flowing = null
    if (this.#failure !== null) throw this.#failure.error
  }

  async send(all: readonly Sent[]): Promise<void> {
    for (const one of all) {
      if (one.eventId === null || one.kind === 'duplicate' || this.events.has(one.eventId)) continue
      this.events.set(one.eventId, one)
      if (one.kind === 'payment') this.payments += 1
    }
    const endMs = performance.now() + sendMs
    for (;;) {
      try {
        await this.#log.publish(all.map(({ record }) => record))
        return
      } catch (error) {
        if (!isRiverbankError(error) || !error.canRetry) throw error
        if (performance.now() > endMs) throw new RiverbankError('chaos_stuck', 'nothing can be sent', { cause: error })
        await delay(pauseMs)
      }
    }
  }

  /** Sends a record to every partition. */
  touchAll(): Promise<void> {
    return this.send(this.#traffic.takePayments(40))
  }

  /** Sends a backlog. */
  async sendMany(count: number): Promise<void> {
    for (let sent = 0; sent < count; sent += backlogRecords) await this.send(this.#traffic.take(backlogRecords))
  }

  sendAgain(count: number): Promise<void> {
    return this.send(this.#traffic.again(count))
  }
}
