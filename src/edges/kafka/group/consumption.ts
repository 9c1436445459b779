import type { Kafka } from 'kafkajs'
import { loopClock } from '../../../clock/loop-clock.ts'
import { RiverbankError } from '../../../base/errors.ts'
import type { ConsumeOptions, GroupHandler, Subscription } from '../../../ports/log.ts'
import type { Logger } from '../../../ports/telemetry.ts'
import type { KafkaAdmin } from '../admin.ts'
import type { KafkaLimits } from '../client.ts'
import { outOfRangeIn, toLogError } from '../errors.ts'
import { checkInRange } from './range.ts'
import { GroupSession } from './session.ts'
import type { Mark, SessionContext, SessionEnd } from './session-context.ts'
import { partitionKeyOf } from './partition-run.ts'

export interface ConsumptionContext {
  readonly kafka: Kafka
  readonly admin: KafkaAdmin
  readonly limits: KafkaLimits
  readonly logger: Logger | undefined
  /** The group of the nth session, for a consumption that commits nothing: a lost session then keeps no partition. */
  readonly groupOf?: (session: number) => string
}

/**
 * Runs sessions one after the other, until it is stopped, its handler fails or the log is out of reach for `outageMs`.
 * Rejects with `topic_missing` when a topic does not exist.
 */
export async function startConsumption(
  context: ConsumptionContext,
  options: ConsumeOptions,
  handler: GroupHandler,
): Promise<Subscription> {
  const consumption = new Consumption(context, options, handler, await shareOf(context, options))
  const finished = consumption.run()
  // A rejection of `finished` must not end the process of a caller that does not await it.
  finished.catch(() => undefined)
  return { finished, stop: () => consumption.stop() }
}

type Share = Pick<SessionContext, 'fetchBytesPerPartition' | 'recordBytesMax'>

/**
 * The bytes of a fetch for each partition. Brokers fill a fetch partition by partition, always in the same order:
 * without shares a backlog in the first would starve the others. A share holds the largest batch, which would be
 * skipped otherwise.
 */
async function shareOf({ admin }: ConsumptionContext, options: ConsumeOptions): Promise<Share> {
  const recordBytesMax = new Map<string, number>()
  let partitions = 0
  let largest = 0
  for (const topic of options.topics) {
    const facts = await admin.topicFacts(topic)
    partitions += facts.partitions
    recordBytesMax.set(topic, facts.maxMessageBytes)
    largest = Math.max(largest, facts.maxMessageBytes)
  }
  const fetchBytesPerPartition = Math.max(largest, Math.floor(options.maxBytes / Math.max(1, partitions)))
  return { fetchBytesPerPartition, recordBytesMax }
}

class Consumption {
  readonly #context: ConsumptionContext
  readonly #options: ConsumeOptions
  readonly #handler: GroupHandler
  readonly #share: Share
  readonly #releases = new Map<string, Promise<void>>()
  readonly #marks = new Map<string, Mark>()
  #session: GroupSession | null = null
  #stopping = false
  #wake: () => void = () => undefined
  #finished: Promise<void> | null = null
  #reachableMs = loopClock.nowMs()
  #failures = 0
  #sessions = 0

  constructor(context: ConsumptionContext, options: ConsumeOptions, handler: GroupHandler, share: Share) {
    this.#context = context
    this.#options = options
    this.#handler = handler
    this.#share = share
  }

  run(): Promise<void> {
    this.#finished ??= this.#loop()
    return this.#finished
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#wake()
    await this.#session?.stop()
    await this.#finished?.catch(() => undefined)
  }

  async #loop(): Promise<void> {
    while (!this.#stopping) {
      const end = await this.#runSession()
      if (end.kind === 'stopped') return
      if (end.kind === 'failed') throw end.error
      await this.#afterLoss(end)
    }
  }

  async #runSession(): Promise<SessionEnd> {
    this.#sessions += 1
    const group = this.#context.groupOf?.(this.#sessions) ?? this.#options.group
    const session = new GroupSession({
      ...this.#context,
      options: { ...this.#options, group },
      handler: this.#handler,
      ...this.#share,
      releases: this.#releases,
      marks: this.#marks,
      onSteady: () => {
        this.#reachableMs = loopClock.nowMs()
        this.#failures = 0
      },
    })
    this.#session = session
    void session.start()
    const end = await session.ended
    // A stop closes the session by itself, and waits for that.
    if (end.kind !== 'stopped') await session.close()
    this.#session = null
    return end
  }

  /** Throws what ends the consumption; else waits before the next session. */
  async #afterLoss(end: SessionEnd & { readonly kind: 'lost' }): Promise<void> {
    if (this.#stopping) return
    const { limits, admin, logger } = this.#context
    const failure = toLogError(end.error, `consume as ${this.#options.group}`)
    logger?.warn('the consumer lost its connection or its membership', { group: this.#options.group, err: failure })
    if (failure.code === 'log_refused') throw failure
    const outOfRange = outOfRangeIn(end.error)
    try {
      if (outOfRange !== null) {
        const position = this.#marks.get(partitionKeyOf(outOfRange.topic, outOfRange.partition))?.position
        const range = (await admin.describeTopic(outOfRange.topic))?.[outOfRange.partition]
        if (position !== undefined && range !== undefined) checkInRange(outOfRange.topic, range, position)
      }
      for (const topic of this.#options.topics) {
        if ((await admin.describeTopic(topic)) === null) {
          throw new RiverbankError('topic_missing', `topic ${topic} was deleted`, { cause: end.error })
        }
      }
    } catch (error) {
      if (!(error instanceof RiverbankError && error.canRetry)) throw error
    }
    if (loopClock.nowMs() - this.#reachableMs > limits.outageMs) throw failure
    const delayMs = Math.min(limits.outageDelayMaxMs, 100 * 2 ** Math.min(this.#failures, 10))
    this.#failures += 1
    await this.#pause(delayMs)
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
      if (this.#stopping) this.#wake()
    })
  }
}
