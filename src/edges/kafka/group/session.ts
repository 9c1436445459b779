import type { Consumer, ConsumerGroupJoinEvent, EachBatchPayload } from 'kafkajs'
import { loopClock } from '../../../clock/loop-clock.ts'
import { RiverbankError, isRiverbankError } from '../../../base/errors.ts'
import type { PartitionAssignment, PartitionRange } from '../../../ports/log.ts'
import { deliverBatch, type Course } from './delivery.ts'
import { protocolTypeOf, toLogError } from '../errors.ts'
import { createGroupClient, heartbeatMsOf } from './group-client.ts'
import { checkInRange } from './range.ts'
import type { SessionContext, SessionEnd } from './session-context.ts'
import { PartitionRun, PartitionRuns } from './partition-run.ts'

/** One kafkajs consumer from first join to end. It rejoins only between two fetches: no batch runs in a rebalance. */
export class GroupSession {
  readonly ended: Promise<SessionEnd>
  readonly #context: SessionContext
  readonly #consumer: Consumer
  readonly #runs: PartitionRuns
  readonly #watch: NodeJS.Timeout
  readonly #course: Course
  #end: (end: SessionEnd) => void = () => undefined
  /** Its functions reach the coordinator with the current generation of the group; kafkajs offers them nowhere else. */
  #payload: EachBatchPayload | null = null
  /** When the coordinator last confirmed this member, in real time, by which the group may have dropped it. */
  #lastContactMs = performance.now()
  /** The same and the last activity, in loop time: the time in which this process could have heard more. */
  #heardContactMs = loopClock.nowMs()
  #heardActivityMs = loopClock.nowMs()
  /** The group rebalances: finish the running call, deliver nothing more, join again. */
  #rebalancing = false
  #lost: Error | null = null
  #over = false
  #batches = 0
  #starting: Promise<void> = Promise.resolve()

  constructor(context: SessionContext) {
    this.#context = context
    this.#runs = new PartitionRuns(context.releases)
    this.ended = new Promise((resolve) => (this.#end = resolve))
    this.#consumer = createGroupClient(context)
    this.#course = {
      maxRecords: context.options.maxRecords,
      recordBytesMax: (topic) => context.recordBytesMax.get(topic) ?? Infinity,
      mayDeliver: (run, payload) => this.#mayDeliver(run, payload),
      handle: (assignment, batch) =>
        context.handler.batch(assignment, batch).catch((error: unknown) => this.#unlessFenced(error)),
      move: (run, position, highest) => this.#move(run, position, highest),
      seek: (run, offset) => this.#seek(run, offset),
    }
    this.#listen()
    this.#watch = setInterval(() => this.#onWatch(), heartbeatMsOf(context.options))
  }

  start(): Promise<void> {
    this.#starting = this.#run()
    return this.#starting
  }

  async #run(): Promise<void> {
    const { topics, concurrency } = this.#context.options
    try {
      await this.#consumer.connect()
      // Positions always come from the handler; kafkajs looks this one up and never uses it.
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
    await loopClock.within(drainMs, this.#runs.idle())
    await loopClock.within(drainMs, this.#revokeAll())
    clearInterval(this.#watch)
    const disconnect = () => this.#consumer.disconnect().catch(() => undefined)
    // kafkajs does not leave a group that it still joins: the coordinator would keep the member for a session.
    await loopClock.within(requestTimeoutMs, this.#starting)
    await loopClock.within(requestTimeoutMs, disconnect())
    await loopClock.within(requestTimeoutMs, this.#starting.then(disconnect))
  }

  #listen(): void {
    const { events } = this.#consumer
    const active = () => void (this.#heardActivityMs = loopClock.nowMs())
    this.#consumer.on(events.FETCH_START, active)
    this.#consumer.on(events.FETCH, active)
    this.#consumer.on(events.HEARTBEAT, () => {
      this.#contact()
      this.#context.onSteady()
    })
    // Both listeners run inside kafkajs's own step: before the next fetch, and before it rejoins.
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
    for (const [topic, partitions] of Object.entries(memberAssignment)) {
      // kafkajs must not fetch a partition before the handler has answered its position.
      this.#consumer.pause([{ topic, partitions }])
      const runs = partitions.map((partition) => new PartitionRun(topic, partition))
      for (const run of runs) this.#runs.add(run)
      this.#assign(topic, runs).catch((error: unknown) => this.#onFailure(error))
    }
  }

  async #assign(topic: string, runs: readonly PartitionRun[]): Promise<void> {
    await this.#runs.free(runs)
    const found = await this.#lookUp(topic)
    if (found === null) return
    const { ranges, committed } = found
    await Promise.all(
      runs.map(async (run) => {
        const range = ranges.find(({ partition }) => partition === run.partition)
        if (range === undefined) throw new RiverbankError('topic_missing', `${run.key} is gone`)
        await run.during(this.#begin(run, range, committed.get(run.partition) ?? null))
      }),
    )
  }

  async #lookUp(topic: string) {
    const { admin, options } = this.#context
    try {
      const ranges = await admin.describeTopic(topic)
      if (ranges === null) throw new RiverbankError('topic_missing', `topic ${topic} was deleted`)
      return { ranges, committed: await admin.committed(options.group, topic) }
    } catch (error) {
      if (!(isRiverbankError(error) && error.canRetry)) throw error
      this.#finish({ kind: 'lost', error })
      return null
    }
  }

  async #begin(run: PartitionRun, range: PartitionRange, committed: number | null): Promise<void> {
    if (run.isAborted()) return
    const { topic, partition, signal } = run
    const { highest } = this.#context.marks.get(run.key) ?? { highest: 0 }
    // Kafka forgets a group's positions with the topic, so the handler could not notice.
    if (highest > range.end) checkInRange(topic, range, highest)
    const commit = (next: number) => this.#commit(run, next)
    const assignment: PartitionAssignment = { topic, partition, committed, range, signal, commit }
    run.assignment = assignment
    const first = await this.#context.handler.assigned(assignment).catch((error: unknown) => {
      // A rebalance ended this partition assignment: the member has another one by now.
      if (signal.aborted && isRiverbankError(error, 'fenced')) return null
      return this.#unlessFenced(error)
    })
    if (first === null || run.isAborted()) return
    checkInRange(topic, range, first)
    this.#move(run, first, first)
    run.ready = true
    this.#seek(run, first)
    this.#consumer.resume([{ topic, partitions: [partition] }])
  }

  async #onBatch(payload: EachBatchPayload): Promise<void> {
    this.#payload = payload
    this.#batches += 1
    const run = this.#runs.get(payload.batch.topic, payload.batch.partition)
    if (run?.ready === true && !payload.isStale()) {
      await run.during(deliverBatch(run, payload, this.#course)).catch((error: unknown) => this.#onFailure(error))
    }
    this.#batches -= 1
    if (this.#lost !== null && !this.#over) throw this.#lost
  }

  /** False if another member may have the partition; after a long silence it asks the coordinator first. */
  async #mayDeliver(run: PartitionRun, payload: EachBatchPayload): Promise<boolean> {
    const { sessionTimeoutMs } = this.#context.options
    const unheardMs = () => performance.now() - this.#lastContactMs
    if (unheardMs() > sessionTimeoutMs / 2) {
      await payload.heartbeat().catch((error: unknown) => this.#onSilence(error))
      this.#checkSilence()
    }
    if (run.isAborted() || this.#over || this.#rebalancing || this.#lost !== null) return false
    return unheardMs() <= sessionTimeoutMs
  }

  async #commit(run: PartitionRun, next: number): Promise<void> {
    const { topic, partition } = run
    if (run.revoked) throw new RiverbankError('fenced', `${run.key} is no longer this member's`)
    const offset = String(next)
    try {
      // Straight to the coordinator: the other call may retry after a join, when the broker would wrongly accept it.
      if (this.#payload === null) await this.#consumer.commitOffsets([{ topic, partition, offset }])
      else await this.#payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] })
      this.#contact()
    } catch (error) {
      const failure = toLogError(error, `commit ${run.key}`)
      if (failure.code === 'fenced') this.#loseMembership(error)
      throw failure
    }
  }

  /** A fenced call is no failure: the member joins again. Answers null for it. */
  #unlessFenced(error: unknown): null {
    if (!isRiverbankError(error, 'fenced')) throw error
    this.#loseMembership(error)
    return null
  }

  #onFailure(error: unknown): void {
    this.#finish({ kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) })
  }

  #onSilence(error: unknown): void {
    if (protocolTypeOf(error) === 'REBALANCE_IN_PROGRESS') {
      this.#contact()
      this.#rebalancing = true
      this.#runs.abortAll()
    } else if (toLogError(error, 'send a heartbeat').code === 'fenced') {
      this.#loseMembership(error)
    }
  }

  #loseMembership(cause: unknown): void {
    if (this.#lost !== null) return
    void this.#revokeAll()
    // kafkajs joins again on errors of this type, and asks for a new member id on the other.
    const type = protocolTypeOf(cause) === 'UNKNOWN_MEMBER_ID' ? 'UNKNOWN_MEMBER_ID' : 'REBALANCE_IN_PROGRESS'
    this.#lost = Object.assign(new Error('the membership was lost'), { type })
    // Only a batch can throw it into kafkajs; without one the consumption makes a new session.
    if (this.#batches === 0) this.#finish({ kind: 'lost', error: cause })
  }

  #contact(): void {
    this.#lastContactMs = performance.now()
    this.#heardContactMs = loopClock.nowMs()
    this.#heardActivityMs = this.#heardContactMs
  }

  #onWatch(): void {
    const { busy } = this.#runs
    if (busy) this.#payload?.heartbeat().catch((error: unknown) => this.#onSilence(error))
    this.#checkSilence()
    const { limits, options } = this.#context
    const stallMs = limits.rebalanceTimeoutMs + limits.requestTimeoutMs + options.sessionTimeoutMs
    if (!busy && loopClock.nowMs() - this.#heardActivityMs > stallMs) {
      this.#finish({ kind: 'lost', error: new Error(`no sign of life for ${stallMs} ms`) })
    }
  }

  #checkSilence(): void {
    const silentMs = loopClock.nowMs() - this.#heardContactMs
    if (this.#runs.size === 0 || silentMs <= this.#context.options.sessionTimeoutMs) return
    const error = new Error(`no word from the coordinator for ${Math.round(silentMs)} ms`)
    this.#finish({ kind: 'lost', error })
    void this.#revokeAll()
  }

  #revokeAll(): Promise<void> {
    return this.#runs.revokeAll(async (run) => {
      try {
        if (run.assignment !== null) await this.#context.handler.released?.(run.assignment)
      } catch (error) {
        this.#onFailure(error)
      }
    })
  }

  #seek({ topic, partition }: PartitionRun, offset: number): void {
    this.#consumer.seek({ topic, partition, offset: String(offset) })
  }

  #move(run: PartitionRun, position: number, highest: number): void {
    run.position = position
    const { marks } = this.#context
    marks.set(run.key, { position, highest: Math.max(highest, marks.get(run.key)?.highest ?? 0) })
  }

  #finish(end: SessionEnd): void {
    this.#over = true
    this.#runs.abortAll()
    this.#end(end)
  }
}
