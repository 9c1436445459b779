import type { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { loopClock } from '../../../clock/loop-clock.ts'
import { isRiverbankError, RiverbankError } from '../../../base/errors.ts'
import type { PartitionAssignment, GroupHandler, PartitionRange } from '../../../ports/log.ts'
import { connectionLost, redisFailure } from '../server/connection.ts'
import { assignScript, commitScript, releaseScript, renewScript } from './group-scripts.ts'
import type { Limiter } from './limiter.ts'
import type { RedisTopics, TopicInfo } from './log-topics.ts'
import { outOfRange, PartitionFeed, type FeedLimits } from './partition-feed.ts'
import type { StreamReader } from './stream-reader.ts'
import { textsIn } from '../server/reply.ts'

/** Between two checks whether a lease is still ours. */
const confirmPauseMs = 50

/** The context that all partition assignments of one member share. */
export interface AssignmentContext {
  readonly redis: Redis
  readonly topics: RedisTopics
  readonly reader: StreamReader
  readonly handler: GroupHandler
  readonly limiter: Limiter
  readonly limits: FeedLimits
  readonly group: string
  readonly member: string
  readonly sessionTimeoutMs: number
}

/**
 * One partition while this member holds it. It ends in three ways: `drain` (another member's turn: it keeps the lease
 * until the running batch has settled), `lose` (the lease or the connection is gone: commits are fenced), or by itself
 * with an error that ends the consumption.
 */
export class HeldAssignment implements PartitionAssignment {
  readonly topic: string
  readonly partition: number
  readonly committed: number | null
  readonly range: PartitionRange
  readonly signal: AbortSignal
  readonly #context: AssignmentContext
  readonly #info: TopicInfo
  readonly #token: string
  readonly #ending = new AbortController()
  readonly #feed: PartitionFeed
  #lost = false
  /** Start of the last renewal that succeeded, on the monotonic clock: the lease lasts at least from here. */
  #renewedAtMs: number
  /** The same in loop time: the time in which this process could have heard of another. */
  #heardAtMs = loopClock.nowMs()

  private constructor(
    context: AssignmentContext,
    info: TopicInfo,
    token: string,
    askedAtMs: number,
    committed: number | null,
    range: PartitionRange & { readonly bytes: number },
  ) {
    this.topic = info.topic
    this.partition = range.partition
    this.committed = committed
    this.range = { partition: range.partition, start: range.start, end: range.end }
    this.signal = this.#ending.signal
    this.#context = context
    this.#info = info
    this.#token = token
    this.#renewedAtMs = askedAtMs
    const state = { ...range, incarnation: info.incarnation }
    this.#feed = new PartitionFeed(context.reader, context.topics, info, state, context.limits, this.signal)
  }

  /** Takes the lease of a partition if it is free; null when a member holds it. */
  static async take(
    context: AssignmentContext,
    info: TopicInfo,
    partition: number,
    number: number,
  ): Promise<HeldAssignment | null> {
    const { group, member, redis, sessionTimeoutMs } = context
    const keys = info.partitions[partition]
    if (keys === undefined) return null
    const token = `${member}/${number}`
    const askedAtMs = performance.now()
    const scriptKeys = [keys.lease(group), keys.meta, keys.groups]
    const reply = await assignScript.run(redis, scriptKeys, [token, member, sessionTimeoutMs, group])
    const [status, position, incarnation, start, end, bytes] = textsIn(reply)
    if (status !== 'claimed') return null
    if (incarnation !== info.incarnation) throw recreated(info.topic)
    const committed = position === '' ? null : Number(position)
    const range = { partition, start: Number(start), end: Number(end), bytes: Number(bytes) }
    return new HeldAssignment(context, info, token, askedAtMs, committed, range)
  }

  async commit(next: number): Promise<void> {
    const { group, redis } = this.#context
    if (this.#lost) throw this.#fenced()
    const keys = this.#info.partitions[this.partition]
    if (keys === undefined) return
    let status: string
    const commit = async () => {
      const scriptKeys = [keys.lease(group), keys.meta, keys.groups]
      return String(await commitScript.run(redis, scriptKeys, [this.#token, group, next, this.#info.incarnation]))
    }
    try {
      status = await commit()
      // The position is above the end, unless another program has written there.
      if (status === 'recreated') {
        await this.#context.topics.adopt(this.#info, this.partition)
        status = await commit()
      }
    } catch (error) {
      // The assignment ends with its connection; the next one will see whether the log applied this commit.
      if (connectionLost(error)) {
        this.lose()
        throw this.#fenced(error)
      }
      throw redisFailure('log_unavailable', `committing ${this.topic}/${this.partition}`, error)
    }
    if (status === 'recreated') throw recreated(this.topic)
    if (status === 'fenced') {
      this.lose()
      throw this.#fenced()
    }
  }

  /**
   * Prolongs the lease; loses the assignment when the lease is another's. Rejects when the log is not the one we read.
   */
  async renew(): Promise<void> {
    const { group, redis, sessionTimeoutMs } = this.#context
    const keys = this.#info.partitions[this.partition]
    if (keys === undefined || this.#lost) return
    const askedAtMs = performance.now()
    const heardAtMs = loopClock.nowMs()
    const waitedAt = this.#feed.waitingAt
    const scriptKeys = [keys.lease(group), keys.meta]
    const reply = await renewScript.run(redis, scriptKeys, [this.#token, sessionTimeoutMs, group])
    const [owned, incarnation, start, end] = textsIn(reply)
    if (owned !== '1') {
      this.lose()
      return
    }
    this.#renewedAtMs = askedAtMs
    this.#heardAtMs = heardAtMs
    if (this.signal.aborted) return
    if (incarnation !== this.#info.incarnation) throw recreated(this.topic)
    const range = { partition: this.partition, start: Number(start), end: Number(end) }
    const stop = this.#feed.stuck(range, waitedAt)
    if (stop !== null) throw stop
  }

  /** Ends the assignment after its running batch, which may still commit. */
  drain(): void {
    this.#ending.abort()
  }

  /** Ends the assignment at once: its later commits are fenced. */
  lose(): void {
    this.#lost = true
    this.#ending.abort()
  }

  /** Loses the assignment when no renewal was answered for a session, although this process listened. */
  loseWhenStale(): void {
    if (loopClock.nowMs() - this.#heardAtMs > this.#context.sessionTimeoutMs) this.lose()
  }

  /**
   * A member whose loop was blocked, or that was frozen, checks its lease before it starts another batch: the lease may
   * have ended, and another member may own the partition. If it still owns it, it goes on.
   */
  async #confirm(): Promise<void> {
    const { sessionTimeoutMs } = this.#context
    while (!this.signal.aborted && performance.now() - this.#renewedAtMs > sessionTimeoutMs) {
      try {
        await this.renew()
      } catch (error) {
        const failure = redisFailure('log_unavailable', `renewing ${this.topic}/${this.partition}`, error)
        if (!failure.canRetry) throw failure
        await sleep(confirmPauseMs)
        this.loseWhenStale()
      }
    }
  }

  /** Works until the assignment ends; rejects with the error that must end the consumption. */
  async work(): Promise<void> {
    try {
      await this.#deliver()
    } catch (error) {
      if (!isRiverbankError(error, 'fenced')) throw error
      this.lose()
    } finally {
      this.#ending.abort()
      await this.#release()
    }
  }

  async #deliver(): Promise<void> {
    const { handler, limiter } = this.#context
    const first = await limiter.run(async () => (this.signal.aborted ? null : handler.assigned(this)))
    if (first === null || this.signal.aborted) return
    await this.#checkRange(first)
    for (let next = first; ;) {
      const batch = await this.#feed.next(next)
      if (batch === null) return
      const answer = await limiter.run(async () => {
        await this.#confirm()
        if (this.signal.aborted) return null
        this.#feed.readAhead(batch)
        return handler.batch(this, batch)
      })
      if (answer === null) return
      if (answer > batch.next) await this.#checkRange(answer)
      next = answer
    }
  }

  /** The range of the assignment may be old: asks the log before it calls an offset out of range. */
  async #checkRange(offset: number): Promise<void> {
    if (outOfRange(this.topic, this.range, offset) === null) return
    while (!this.signal.aborted) {
      try {
        const stop = outOfRange(this.topic, await this.#context.topics.state(this.#info, this.partition), offset)
        if (stop !== null) throw stop
        return
      } catch (error) {
        if (!isRiverbankError(error) || !error.canRetry) throw error
        await sleep(50)
      }
    }
  }

  async #release(): Promise<void> {
    const { group, handler, redis } = this.#context
    try {
      await handler.released?.(this)
    } finally {
      const keys = this.#info.partitions[this.partition]
      // Without a connection the lease ends by itself.
      if (keys !== undefined) {
        await releaseScript.run(redis, [keys.lease(group), keys.meta], [this.#token, group]).catch(() => undefined)
      }
      this.#lost = true
    }
  }

  #fenced(cause?: unknown): RiverbankError {
    const why = `${this.topic}/${this.partition} is no longer held by this member of ${this.#context.group}`
    return new RiverbankError('fenced', why, { cause })
  }
}

function recreated(topic: string): RiverbankError {
  return new RiverbankError('log_recreated', `topic ${topic} was deleted or created anew while it was consumed`)
}
