import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { RiverbankError } from '../../../base/errors.ts'
import type { ConsumeOptions, GroupHandler, Subscription } from '../../../ports/log.ts'
import { redisFailure } from '../server/connection.ts'
import { heartbeatScript } from './group-scripts.ts'
import { HeldAssignment, type AssignmentContext } from './held-assignment.ts'
import { Limiter, Pause } from './limiter.ts'
import { topicKeys } from './log-keys.ts'
import type { RedisTopics, TopicInfo } from './log-topics.ts'
import type { StreamReader } from './stream-reader.ts'
import { textsIn } from '../server/reply.ts'

/** A member notices a change of membership within so long. */
const beatMsMax = 300

export interface GroupMemberParts {
  readonly redis: Redis
  readonly topics: RedisTopics
  readonly reader: StreamReader
  readonly namespace: string
  readonly options: ConsumeOptions
  readonly handler: GroupHandler
}

/**
 * A member of a consumer group. With every beat it reports that it is alive, prolongs its leases, and compares its
 * partitions with its share: partition p belongs to member p mod n, members sorted by name, as each of them computes
 * it. It gives a partition outside of its share up after the running batch, and takes the free ones of its share. After
 * a lost connection it gives up all assignments and takes new ones: the log it comes back to may be another one.
 */
export class GroupMember implements Subscription {
  readonly finished: Promise<void>
  readonly #parts: GroupMemberParts
  readonly #infos: readonly TopicInfo[]
  readonly #context: AssignmentContext
  readonly #beatMs: number
  readonly #pause = new Pause()
  readonly #held = new Map<string, { readonly assignment: HeldAssignment; readonly done: Promise<void> }>()
  #stopping = false
  #beatAtMs = performance.now()
  #failure: { readonly error: unknown } | null = null
  #bindsLake = 0

  private constructor(parts: GroupMemberParts, infos: readonly TopicInfo[]) {
    const { group, maxBytes, maxRecords, concurrency, sessionTimeoutMs } = parts.options
    this.#parts = parts
    this.#infos = infos
    this.#beatMs = Math.min(beatMsMax, Math.ceil(sessionTimeoutMs / 6))
    this.#context = {
      redis: parts.redis,
      topics: parts.topics,
      reader: parts.reader,
      handler: parts.handler,
      limiter: new Limiter(concurrency),
      limits: { maxRecords, maxBytes },
      group,
      // Names sort by age: a restarted member comes last, and those older than it keep their places.
      member: `${Date.now().toString(36)}-${randomBytes(6).toString('hex')}`,
      sessionTimeoutMs,
    }
    const onClose = (): void => this.#loseAll()
    parts.redis.on('close', onClose)
    this.finished = this.#run().finally(() => parts.redis.off('close', onClose))
    // A rejection must not end the process of a caller that does not await it.
    this.finished.catch(() => undefined)
  }

  /**
   * Rejects with `topic_missing`; registers the group, so that from here on the log keeps all records it has not read.
   */
  static async join(parts: GroupMemberParts): Promise<GroupMember> {
    const infos: TopicInfo[] = []
    for (const topic of parts.options.topics) {
      const info = await parts.topics.fresh(topic)
      if (info === null) throw new RiverbankError('topic_missing', `there is no topic ${topic}`)
      await parts.topics.register(parts.options.group, info)
      infos.push(info)
    }
    return new GroupMember(parts, infos)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#pause.wake()
    await this.finished.catch(() => undefined)
  }

  async #run(): Promise<void> {
    while (!this.#stopping && this.#failure === null) {
      try {
        const startedMs = performance.now()
        for (const info of this.#infos) await this.#beat(info)
        this.#beatAtMs = startedMs
      } catch (error) {
        const failure = redisFailure('log_unavailable', `a beat of group ${this.#context.group}`, error)
        if (!failure.canRetry) this.#fail(failure)
      }
      for (const { assignment } of this.#held.values()) assignment.loseWhenStale()
      await this.#pause.atMost(this.#beatMs)
    }
    await this.#leave()
    if (this.#failure !== null) throw this.#failure.error
  }

  async #beat(info: TopicInfo): Promise<void> {
    const { group, member, redis, sessionTimeoutMs } = this.#context
    const keys = topicKeys(this.#parts.namespace, info.topic)
    // A member that was silent cannot judge the others: on a starved machine members would call each other dead in
    // turn.
    const patienceMs = Math.round(performance.now() - this.#beatAtMs)
    const args = [member, sessionTimeoutMs, patienceMs]
    const beat = await heartbeatScript.run(redis, [keys.topic, keys.members(group)], args)
    const [incarnation, ...members] = textsIn(beat)
    if (incarnation === '') throw new RiverbankError('topic_missing', `topic ${info.topic} was deleted`)
    if (incarnation !== info.incarnation) {
      throw new RiverbankError('log_recreated', `topic ${info.topic} was created anew while it was consumed`)
    }
    const held = [...this.#held.values()].filter(({ assignment }) => assignment.topic === info.topic)
    await Promise.all(held.map(({ assignment }) => assignment.renew()))
    for (const partition of info.partitions.keys()) {
      const mine = members[partition % members.length] === member
      const current = this.#held.get(`${info.topic}/${partition}`)
      if (current !== undefined && !mine) current.assignment.drain()
      if (current === undefined && mine && !this.#stopping) await this.#take(info, partition)
    }
  }

  async #take(info: TopicInfo, partition: number): Promise<void> {
    this.#bindsLake += 1
    const assignment = await HeldAssignment.take(this.#context, info, partition, this.#bindsLake)
    if (assignment === null) return
    const name = `${info.topic}/${partition}`
    const done = assignment
      .work()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#held.delete(name)
        this.#pause.wake()
      })
    this.#held.set(name, { assignment, done })
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#pause.wake()
  }

  #loseAll(): void {
    for (const { assignment } of this.#held.values()) assignment.lose()
    this.#pause.wake()
  }

  /** Keeps the leases alive while the last handlers run: their commits must count. */
  async #leave(): Promise<void> {
    for (const { assignment } of this.#held.values()) assignment.drain()
    let settled = false
    const all = Promise.all([...this.#held.values()].map(({ done }) => done)).then(() => {
      settled = true
    })
    const pause = new Pause()
    void all.finally(() => pause.wake())
    while (!settled) {
      await pause.atMost(this.#beatMs)
      await Promise.all([...this.#held.values()].map(({ assignment }) => assignment.renew().catch(() => undefined)))
    }
    const { group, member, redis } = this.#context
    for (const { topic } of this.#infos) {
      const members = topicKeys(this.#parts.namespace, topic).members(group)
      await redis.zrem(members, member).catch(() => undefined)
    }
    this.#parts.reader.close()
  }
}
