import {
  KafkaJSProtocolError,
  type Consumer,
  type ConsumerGroupJoinEvent,
  type EachBatchPayload,
  type Kafka,
} from 'kafkajs'
import { RiverbankError, assert, isRiverbankError } from '../../core/errors.ts'
import type { Claim, ConsumeOptions, GroupHandler, LogBatch, Logger, PartitionRange } from '../../ports.ts'
import type { KafkaAdmin } from './admin.ts'
import type { KafkaLimits } from './client.ts'
import { within } from './deadline.ts'
import { protocolTypeOf, toLogError } from './errors.ts'
import { createGroupClient, heartbeatMsOf } from './group-client.ts'
import { checkInRange } from './range.ts'
import { toLogRecord } from './record.ts'
import { Slot, slotKey } from './slot.ts'

export interface SessionContext {
  readonly kafka: Kafka
  readonly admin: KafkaAdmin
  readonly limits: KafkaLimits
  readonly options: ConsumeOptions
  readonly handler: GroupHandler
  readonly fetchBytesPerPartition: number
  /** The last release of each partition, also across sessions: the next claim of it waits for that. */
  readonly releases: Map<string, Promise<void>>
  /** Where each partition stands, also across sessions. */
  readonly marks: Map<string, Mark>
  readonly logger: Logger | undefined
  onJoined(): void
}

export interface Mark {
  /** The offset to read next. */
  readonly position: number
  /** The highest one there ever was: the log cannot end below it. */
  readonly highest: number
}

export type SessionEnd =
  | { readonly kind: 'stopped' }
  /** The handler failed, or the log is not what it was: the consumption ends with this. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** The connection or the membership is gone: a new session may go on. */
  | { readonly kind: 'lost'; readonly error: unknown }

/**
 * One kafkajs consumer from its first join to its end. kafkajs fetches, waits until every partition of that fetch is
 * handled, and fetches again; it joins anew only in between, so no batch runs while the group is rearranged.
 */
export class GroupSession {
  readonly ended: Promise<SessionEnd>
  readonly #context: SessionContext
  readonly #consumer: Consumer
  readonly #slots = new Map<string, Slot>()
  readonly #watch: NodeJS.Timeout
  #end: (end: SessionEnd) => void = () => undefined
  /** Its functions reach the coordinator with the generation of this moment; kafkajs offers them nowhere else. */
  #payload: EachBatchPayload | null = null
  #lastContactMs = performance.now()
  #lastActivityMs = performance.now()
  /** The group is being rearranged: finish the running call, deliver nothing more, join again. */
  #rebalancing = false
  #lost: Error | null = null
  #over = false

  constructor(context: SessionContext) {
    this.#context = context
    this.ended = new Promise((resolve) => (this.#end = resolve))
    this.#consumer = createGroupClient(context)
    this.#listen()
    this.#watch = setInterval(() => this.#onWatch(), heartbeatMsOf(context.options))
  }

  async start(): Promise<void> {
    const { topics, concurrency } = this.#context.options
    try {
      await this.#consumer.connect()
      // Positions always come from the handler; this only says what kafkajs looks up and never uses.
      await this.#consumer.subscribe({ topics: [...topics], fromBeginning: true })
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: concurrency,
        eachBatch: (payload) => this.#onBatch(payload),
      })
    } catch (error) {
      this.#finish({ kind: 'lost', error })
    }
  }

  /** Delivers nothing more, waits for running calls within `drainMs`, leaves the group. */
  async stop(): Promise<void> {
    this.#finish({ kind: 'stopped' })
    await this.close()
  }

  /** Gives every partition back and disconnects; after {@link ended}. Calls that run may still commit. */
  async close(): Promise<void> {
    const { drainMs, requestTimeoutMs } = this.#context.limits
    await within(drainMs, Promise.all([...this.#slots.values()].map((slot) => slot.idle())))
    await within(drainMs, this.#revokeAll())
    clearInterval(this.#watch)
    await within(
      requestTimeoutMs,
      this.#consumer.disconnect().catch(() => undefined),
    )
  }

  #listen(): void {
    const { events } = this.#consumer
    const active = () => {
      this.#lastActivityMs = performance.now()
    }
    this.#consumer.on(events.FETCH_START, active)
    this.#consumer.on(events.FETCH, active)
    this.#consumer.on(events.HEARTBEAT, () => this.#contact())
    // Both listeners run inside kafkajs's own step: before the next fetch, and before it asks to join again.
    this.#consumer.on(events.GROUP_JOIN, (event) => this.#onJoin(event))
    this.#consumer.on(events.REBALANCING, () => void this.#revokeAll())
    this.#consumer.on(events.CRASH, ({ payload }) => this.#finish({ kind: 'lost', error: payload.error }))
  }

  #onJoin({ payload: { memberAssignment } }: ConsumerGroupJoinEvent): void {
    void this.#revokeAll()
    this.#contact()
    this.#rebalancing = false
    this.#lost = null
    if (this.#over) return
    this.#context.onJoined()
    for (const [topic, partitions] of Object.entries(memberAssignment)) {
      // Nothing is fetched of a partition before the handler has said from where.
      this.#consumer.pause([{ topic, partitions }])
      const slots = partitions.map((partition) => new Slot(topic, partition))
      for (const slot of slots) this.#slots.set(slot.key, slot)
      this.#assign(topic, slots).catch((error: unknown) => this.#onFailure(error))
    }
  }

  async #assign(topic: string, slots: readonly Slot[]): Promise<void> {
    const { admin, options, releases } = this.#context
    await Promise.all(slots.map((slot) => releases.get(slot.key)))
    const ranges = await admin.describeTopic(topic)
    if (ranges === null) throw new RiverbankError('topic_missing', `topic ${topic} was deleted`)
    const committed = await admin.committed(options.group, topic)
    await Promise.all(
      slots.map(async (slot) => {
        const range = ranges.find(({ partition }) => partition === slot.partition)
        if (range === undefined) throw new RiverbankError('topic_missing', `${slot.key} is gone`)
        await slot.during(this.#begin(slot, range, committed.get(slot.partition) ?? null))
      }),
    )
  }

  async #begin(slot: Slot, range: PartitionRange, committed: number | null): Promise<void> {
    if (slot.aborted) return
    const { topic, partition, signal } = slot
    const { highest } = this.#context.marks.get(slot.key) ?? { highest: 0 }
    // Kafka forgets a group's positions with the topic, so the handler could not tell.
    if (highest > range.end) checkInRange(topic, range, highest)
    const claim: Claim = { topic, partition, committed, range, signal, commit: (next) => this.#commit(slot, next) }
    slot.claim = claim
    const first = await this.#context.handler.assigned(claim).catch((error: unknown) => this.#unlessFenced(error))
    if (first === null || slot.aborted) return
    checkInRange(topic, range, first)
    this.#move(slot, first, first)
    slot.ready = true
    this.#consumer.seek({ topic, partition, offset: String(first) })
    this.#consumer.resume([{ topic, partitions: [partition] }])
  }

  async #onBatch(payload: EachBatchPayload): Promise<void> {
    this.#payload = payload
    const slot = this.#slots.get(slotKey(payload.batch.topic, payload.batch.partition))
    if (slot?.ready === true && !payload.isStale()) {
      await slot.during(this.#deliver(slot, payload)).catch((error: unknown) => this.#onFailure(error))
    }
    if (this.#lost !== null && !this.#over) throw this.#lost
  }

  async #deliver(slot: Slot, payload: EachBatchPayload): Promise<void> {
    const { options, handler } = this.#context
    const { batch } = payload
    const { claim, topic, partition } = slot
    assert(claim !== null, 'a ready slot has a claim')
    let from = batch.messages.findIndex(({ offset }) => Number(offset) >= slot.position)
    while (from >= 0 && from < batch.messages.length) {
      if (!(await this.#mayDeliver(slot, payload))) return
      const messages = batch.messages.slice(from, from + options.maxRecords)
      from += messages.length
      const lastOffset = from === batch.messages.length ? batch.lastOffset() : messages.at(-1)?.offset
      const next = Number(lastOffset) + 1
      const records = messages.map((message) => toLogRecord(topic, partition, message))
      const delivered: LogBatch = { topic, partition, records, next, end: Math.max(next, Number(batch.highWatermark)) }
      const answer = await handler.batch(claim, delivered).catch((error: unknown) => this.#unlessFenced(error))
      // After an abort kafkajs may be in the next generation: its position is no longer this slot's to move.
      if (answer === null || slot.aborted) return
      assert(Number.isInteger(answer) && answer >= 0 && answer <= next, `the handler answered ${answer} for ${next}`)
      this.#move(slot, answer, next)
      if (answer < next) {
        this.#consumer.seek({ topic, partition, offset: String(answer) })
        return
      }
      payload.resolveOffset(String(next - 1))
    }
  }

  /**
   * False when the partition is, or may be, no longer this member's. After a long silence (a blocked event loop, a
   * frozen process) the coordinator is asked first: others may have had the partition for a while.
   */
  async #mayDeliver(slot: Slot, payload: EachBatchPayload): Promise<boolean> {
    if (performance.now() - this.#lastContactMs > this.#context.options.sessionTimeoutMs / 2) {
      await payload.heartbeat().catch((error: unknown) => this.#onSilence(error))
      this.#checkSilence()
    }
    return !(slot.aborted || this.#over || this.#rebalancing || this.#lost !== null)
  }

  async #commit(slot: Slot, next: number): Promise<void> {
    const { topic, partition } = slot
    if (slot.revoked) throw new RiverbankError('fenced', `${slot.key} is no longer this member's`)
    const offset = String(next)
    try {
      // Straight to the coordinator: the other way kafkajs tries again by itself, maybe after another join, when the
      // broker would take this member's word for a partition that it no longer has.
      if (this.#payload === null) await this.#consumer.commitOffsets([{ topic, partition, offset }])
      else await this.#payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] })
      this.#contact()
    } catch (error) {
      const failure = toLogError(error, `commit ${slot.key}`)
      if (failure.code === 'fenced') this.#loseMembership(error)
      throw failure
    }
  }

  /** A call that was fenced is no failure; the membership is renewed. Answers null for it. */
  #unlessFenced(error: unknown): null {
    if (!isRiverbankError(error, 'fenced')) throw error
    this.#loseMembership(error)
    return null
  }

  #onFailure(error: unknown): void {
    const lookup = isRiverbankError(error, 'log_unavailable') && error.canRetry
    const failure = error instanceof Error ? error : new Error(String(error))
    this.#finish(lookup ? { kind: 'lost', error } : { kind: 'failed', error: failure })
  }

  #onSilence(error: unknown): void {
    if (protocolTypeOf(error) === 'REBALANCE_IN_PROGRESS') {
      this.#contact()
      this.#rebalancing = true
      this.#abortAll()
    } else if (toLogError(error, 'send a heartbeat').code === 'fenced') {
      this.#loseMembership(error)
    }
  }

  #loseMembership(cause: unknown): void {
    if (this.#lost !== null) return
    void this.#revokeAll()
    // kafkajs joins again on errors of this type, and asks for a new member id on the other.
    const unknown = protocolTypeOf(cause) === 'UNKNOWN_MEMBER_ID'
    const type = unknown ? 'UNKNOWN_MEMBER_ID' : 'REBALANCE_IN_PROGRESS'
    this.#lost = Object.assign(new KafkaJSProtocolError('the membership was lost'), { type, retriable: false })
  }

  #contact(): void {
    this.#lastContactMs = performance.now()
    this.#lastActivityMs = this.#lastContactMs
  }

  #onWatch(): void {
    const busy = [...this.#slots.values()].some((slot) => slot.busy)
    if (busy) this.#payload?.heartbeat().catch((error: unknown) => this.#onSilence(error))
    this.#checkSilence()
    const { limits, options } = this.#context
    const stallMs = limits.rebalanceTimeoutMs + limits.requestTimeoutMs + options.sessionTimeoutMs
    if (!busy && performance.now() - this.#lastActivityMs > stallMs) {
      this.#finish({
        kind: 'lost',
        error: new Error(`no sign of life for ${stallMs} ms`),
      })
    }
  }

  #checkSilence(): void {
    const silentMs = performance.now() - this.#lastContactMs
    if (this.#slots.size === 0 || silentMs <= this.#context.options.sessionTimeoutMs) return
    const error = new Error(`no word from the coordinator for ${Math.round(silentMs)} ms`)
    this.#finish({ kind: 'lost', error })
    void this.#revokeAll()
  }

  #revokeAll(): Promise<unknown> {
    const { releases, handler } = this.#context
    const slots = [...this.#slots.values()]
    this.#slots.clear()
    return Promise.all(
      slots.map((slot) => {
        slot.revoke()
        const release = slot
          .idle()
          .then(() => (slot.claim === null ? undefined : handler.released?.(slot.claim)))
          .catch((error: unknown) => this.#onFailure(error))
          .finally(() => {
            if (releases.get(slot.key) === release) releases.delete(slot.key)
          })
        releases.set(slot.key, release)
        return release
      }),
    )
  }

  #move(slot: Slot, position: number, highest: number): void {
    slot.position = position
    const { marks } = this.#context
    marks.set(slot.key, { position, highest: Math.max(highest, marks.get(slot.key)?.highest ?? 0) })
  }

  /** Tells the running calls to come to an end; they may still commit. */
  #abortAll(): void {
    for (const slot of this.#slots.values()) slot.abort()
  }

  #finish(end: SessionEnd): void {
    this.#over = true
    this.#abortAll()
    this.#end(end)
  }
}
