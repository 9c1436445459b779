import { ReplyError, type Redis } from 'ioredis'
import { RiverbankError } from '../../../base/errors.ts'
import type { ClusterNodes } from './cluster-nodes.ts'
import { parseRedirection } from './hash-slots.ts'
import { isUnknownScript, type Argument } from '../server/connection.ts'

/** A command over any number of keys of one hash slot: one item and one answer for each key. */
export interface HashSlotCommand<Item, Answer> {
  encode(items: readonly Item[], script: 'by hash' | 'in full'): readonly [name: string, args: Argument[]]
  decode(reply: unknown): readonly Answer[]
}

/** Items whose keys share a hash slot; never empty. */
export interface HashSlotCall<Item> {
  readonly hashSlot: number
  readonly items: readonly Item[]
}

interface How {
  readonly script: 'by hash' | 'in full'
  /** The node is about to take the slot: it answers only after ASKING. */
  readonly asking: boolean
  /**
   * The epoch at the start: after it moves nothing more is sent, for another connection may reach a server that lost
   * writes.
   */
  readonly epoch: number
}

type Outcome<Answer> = { readonly answers: readonly Answer[] } | { readonly error: Error }

/**
 * Runs calls on the nodes that own their hash slots, all calls of one node in one write. It repeats no call that may
 * have run: it sends only a refused call again, in full (an unknown script), key by key (a slot whose keys are on two
 * nodes, because it is being moved), or to the node that has the key by now (ASK). A slot that has moved for good moves
 * the epoch and fails the calls. It throws every error after all nodes have answered.
 */
export class HashSlotCaller {
  readonly #nodes: ClusterNodes

  constructor(nodes: ClusterNodes) {
    this.#nodes = nodes
  }

  /** Answers per call, in their order. */
  async run<Item, Answer>(
    command: HashSlotCommand<Item, Answer>,
    calls: readonly HashSlotCall<Item>[],
  ): Promise<readonly (readonly Answer[])[]> {
    const how: How = { script: 'by hash', asking: false, epoch: this.#nodes.epoch }
    const byNode = new Map<Redis, number[]>()
    for (const [i, { hashSlot }] of calls.entries()) {
      const node = this.#nodes.ownerOf(hashSlot)
      const known = byNode.get(node)
      if (known === undefined) byNode.set(node, [i])
      else known.push(i)
    }
    const outcomes = new Array<Outcome<Answer>>(calls.length)
    await Promise.all(
      [...byNode].map(async ([node, indexes]) => {
        const own = indexes.flatMap((i) => calls[i] ?? [])
        const found = await this.#onNode(node, command, own, how)
        for (const [at, i] of indexes.entries()) outcomes[i] = found[at] ?? { error: new Error('no answer') }
      }),
    )
    return outcomes.map((outcome) => {
      if ('error' in outcome) throw outcome.error
      return outcome.answers
    })
  }

  async #onNode<Item, Answer>(
    node: Redis,
    command: HashSlotCommand<Item, Answer>,
    calls: readonly HashSlotCall<Item>[],
    how: How,
  ): Promise<Outcome<Answer>[]> {
    if (this.#nodes.epoch !== how.epoch) return calls.map(() => ({ error: changed() }))
    const commands = calls.map(({ items }) => command.encode(items, how.script))
    const replies = await exchange(node, commands, how.asking)
    const unknown = calls.filter((_, i) => how.script === 'by hash' && isUnknownScript(replies[i]?.[0]))
    const again = unknown.length === 0 ? [] : await this.#onNode(node, command, unknown, { ...how, script: 'in full' })
    const outcomes = new Map(unknown.map((call, i) => [call, again[i]]))
    return Promise.all(
      calls.map(async (call, i): Promise<Outcome<Answer>> => {
        const retried = outcomes.get(call)
        if (retried !== undefined) return retried
        const [error, reply] = replies[i] ?? [new Error('no reply'), undefined]
        if (error === null) return { answers: command.decode(reply) }
        return this.#redirected(node, command, call, error, how)
      }),
    )
  }

  async #redirected<Item, Answer>(
    node: Redis,
    command: HashSlotCommand<Item, Answer>,
    call: HashSlotCall<Item>,
    error: Error,
    how: How,
  ): Promise<Outcome<Answer>> {
    const { message } = error
    const redirection = error instanceof ReplyError ? parseRedirection(message, node.options.host ?? '') : null
    if (redirection?.kind === 'moved') {
      this.#nodes.moved(redirection)
      return { error: changed(error) }
    }
    const isMoving = redirection?.kind === 'ask' || message.startsWith('TRYAGAIN')
    if (isMoving && call.items.length > 1) {
      const singles = call.items.map((item) => ({ hashSlot: call.hashSlot, items: [item] }))
      return joined(await this.#onNode(node, command, singles, how))
    }
    if (redirection?.kind === 'ask' && !how.asking) {
      try {
        const target = this.#nodes.at(redirection.address)
        const [outcome] = await this.#onNode(target, command, [call], { ...how, script: 'by hash', asking: true })
        return outcome ?? { error }
      } catch (failure) {
        return { error: failure instanceof Error ? failure : new Error(String(failure)) }
      }
    }
    this.#nodes.refresh()
    return { error }
  }
}

function joined<Answer>(outcomes: readonly Outcome<Answer>[]): Outcome<Answer> {
  const answers: Answer[] = []
  for (const outcome of outcomes) {
    if ('error' in outcome) return outcome
    answers.push(...outcome.answers)
  }
  return { answers }
}

function changed(cause?: Error): RiverbankError {
  return new RiverbankError('state_unavailable', 'the cluster has changed meanwhile', { canRetry: true, cause })
}

/** Sends commands as one write and answers their replies, strings as Buffer. */
async function exchange(
  node: Redis,
  commands: readonly (readonly [name: string, args: Argument[]])[],
  asking: boolean,
): Promise<readonly (readonly [Error | null, unknown])[]> {
  const pipeline = node.pipeline()
  for (const [name, args] of commands) {
    // ASKING counts for the next command only.
    if (asking) pipeline.call('ASKING')
    pipeline.callBuffer(name, args)
  }
  const replies = (await pipeline.exec()) ?? []
  return asking ? replies.filter((_, i) => i % 2 === 1) : replies
}
