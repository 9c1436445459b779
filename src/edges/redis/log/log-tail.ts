import { setMaxListeners } from 'node:events'
import { RiverbankError } from '../../../base/errors.ts'
import type { LogBatch, Subscription, TailOptions } from '../../../ports/log.ts'
import { redisFailure } from '../server/connection.ts'
import { Limiter, Pause } from './limiter.ts'
import type { PartitionState, RedisTopics, TopicInfo } from './log-topics.ts'
import { outOfRange, PartitionFeed } from './partition-feed.ts'
import type { StreamReader } from './stream-reader.ts'

/** Between two checks of a tail whether the log it waits on is still the same one. */
const watchMs = 1_000
/** TailOptions has no limit of bytes; this one keeps a batch of large records from filling memory. */
const batchBytesMax = 4 * 1024 * 1024

type TailHandler = (batch: LogBatch) => Promise<void>

/** A reader of every partition, without a group. Batches are handed over one at a time. */
export class LogTail implements Subscription {
  readonly finished: Promise<void>
  readonly #topics: RedisTopics
  readonly #reader: StreamReader
  readonly #info: TopicInfo
  readonly #handler: TailHandler
  readonly #feeds: readonly PartitionFeed[]
  readonly #ending = new AbortController()
  readonly #limiter = new Limiter(1)
  readonly #pause = new Pause()
  #failure: { readonly error: unknown } | null = null

  private constructor(
    topics: RedisTopics,
    reader: StreamReader,
    info: TopicInfo,
    states: readonly PartitionState[],
    options: TailOptions,
    handler: TailHandler,
  ) {
    this.#topics = topics
    this.#reader = reader
    this.#info = info
    this.#handler = handler
    // One listener for each partition that it waits for.
    setMaxListeners(0, this.#ending.signal)
    const limits = { maxRecords: options.maxRecords, maxBytes: batchBytesMax }
    this.#feeds = states.map((state) => new PartitionFeed(reader, topics, info, state, limits, this.#ending.signal))
    this.finished = this.#run(states, options.from)
    // A rejection must not end the process of a caller that does not await it.
    this.finished.catch(() => undefined)
  }

  /** Rejects with `topic_missing`. A first offset outside the readable range ends the tail, as it ends a group. */
  static async start(
    topics: RedisTopics,
    reader: StreamReader,
    options: TailOptions,
    handler: TailHandler,
  ): Promise<LogTail> {
    const info = await topics.fresh(options.topic)
    if (info === null) throw new RiverbankError('topic_missing', `there is no topic ${options.topic}`)
    return new LogTail(topics, reader, info, await topics.states(info), options, handler)
  }

  async stop(): Promise<void> {
    this.#end()
    await this.finished.catch(() => undefined)
  }

  async #run(states: readonly PartitionState[], from: TailOptions['from']): Promise<void> {
    const delivering = states.map(async (state, i) => {
      const feed = this.#feeds[i]
      const first = from === 'end' ? state.end : (from.get(state.partition) ?? state.start)
      const stop = outOfRange(this.#info.topic, state, first)
      try {
        if (stop !== null) throw stop
        if (feed !== undefined) await this.#deliver(feed, first)
      } catch (error) {
        this.#fail(error)
      }
    })
    while (!this.#ending.signal.aborted) {
      await this.#pause.atMost(watchMs)
      await this.#watch()
    }
    await Promise.all(delivering)
    this.#reader.close()
    if (this.#failure !== null) throw this.#failure.error
  }

  async #deliver(feed: PartitionFeed, first: number): Promise<void> {
    for (let next = first; ;) {
      const batch = await feed.next(next)
      if (batch === null) return
      await this.#limiter.run(async () => {
        if (!this.#ending.signal.aborted) await this.#handler(batch)
      })
      next = batch.next
    }
  }

  async #watch(): Promise<void> {
    if (this.#ending.signal.aborted) return
    const waitedAt = this.#feeds.map((feed) => feed.waitingAt)
    try {
      const now = await this.#topics.fresh(this.#info.topic)
      if (now === null) throw new RiverbankError('topic_missing', `topic ${this.#info.topic} was deleted`)
      if (now.incarnation !== this.#info.incarnation) {
        throw new RiverbankError('log_recreated', `topic ${this.#info.topic} was created anew while it was read`)
      }
      for (const state of await this.#topics.states(now)) {
        const stop = this.#feeds[state.partition]?.stuck(state, waitedAt[state.partition] ?? null) ?? null
        if (stop !== null) throw stop
      }
    } catch (error) {
      const failure = redisFailure('log_unavailable', 'watching the log', error)
      if (!failure.canRetry) this.#fail(failure)
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#end()
  }

  #end(): void {
    this.#ending.abort()
    this.#pause.wake()
  }
}
