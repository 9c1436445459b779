/**
 * One end of a bare exchange over the redis log's server: the asking end adds an event to one stream and waits for a
 * score on another, the answering end does the reverse. Two connections each, no batches, no work in between. Takes one
 * order from its parent; the asking end answers how long each exchange took.
 */
import { Redis } from 'ioredis'

export interface ExchangeOrder {
  readonly redisUrl: string
  readonly events: string
  readonly scores: string
  /** The bytes that the end sends. */
  readonly value: string
  /** Only of the asking end. */
  readonly asking?: { readonly warmUpMs: number; readonly measureMs: number }
}

class End {
  readonly #writer: Redis
  readonly #reader: Redis
  readonly #order: ExchangeOrder

  constructor(order: ExchangeOrder) {
    this.#order = order
    this.#writer = new Redis(order.redisUrl)
    this.#reader = new Redis(order.redisUrl)
  }

  send(stream: string): Promise<unknown> {
    return this.#writer.xadd(stream, 'MAXLEN', '~', 1_000, '*', 'r', this.#order.value)
  }

  /** Waits for the entry after one; answers its id. */
  async receive(stream: string, after: string): Promise<string> {
    const read = await this.#reader.xread('COUNT', 10, 'BLOCK', 0, 'STREAMS', stream, after)
    return read?.[0]?.[1].at(-1)?.[0] ?? after
  }

  async answer(): Promise<never> {
    const { events, scores } = this.#order
    process.send?.('ready')
    for (let last = '0'; ;) {
      last = await this.receive(events, last)
      await this.send(scores)
    }
  }

  async ask({ warmUpMs, measureMs }: NonNullable<ExchangeOrder['asking']>): Promise<number[]> {
    const { events, scores } = this.#order
    const startMs = performance.now() + warmUpMs
    const latenciesMs: number[] = []
    for (let last = '0', askedMs = 0; askedMs < startMs + measureMs;) {
      askedMs = performance.now()
      void this.send(events)
      last = await this.receive(scores, last)
      if (askedMs >= startMs) latenciesMs.push(performance.now() - askedMs)
    }
    return latenciesMs
  }
}

process.once('message', (order: ExchangeOrder) => {
  const end = new End(order)
  if (order.asking === undefined) void end.answer()
  else void end.ask(order.asking).then((latenciesMs) => process.send?.(latenciesMs))
})
process.once('disconnect', () => process.exit(0))
