import fc from 'fast-check'
import type { Protocol } from './protocol.ts'

/** What happens to an installation; the model knows nothing, because every check is made at the end. */
type Command = fc.AsyncCommand<object, Protocol>

class Happening implements Command {
  readonly #name: string
  readonly #run: (protocol: Protocol) => Promise<void>

  constructor(name: string, run: (protocol: Protocol) => Promise<void>) {
    this.#name = name
    this.#run = run
  }

  check(): boolean {
    return true
  }

  run(_model: object, protocol: Protocol): Promise<void> {
    return this.#run(protocol)
  }

  toString(): string {
    return this.#name
  }
}

const choice = fc.nat({ max: 11 })

const step = fc.tuple(choice, choice, fc.integer({ min: 1, max: 6 })).map(
  ([member, call, times]) =>
    new Happening(`step(${member}, ${call}, ${times})`, async (protocol) => {
      for (let n = 0; n < times; n += 1) await protocol.step(member, call)
    }),
)
const loseReply = fc
  .tuple(choice, choice)
  .map(
    ([member, call]) => new Happening(`loseReply(${member}, ${call})`, (protocol) => protocol.step(member, call, true)),
  )
const crash = choice.map((member) => new Happening(`crash(${member})`, (protocol) => protocol.crash(member)))
const freeze = choice.map((member) => new Happening(`freeze(${member})`, (protocol) => protocol.freeze(member)))
const thaw = choice.map((member) => new Happening(`thaw(${member})`, async (protocol) => protocol.thaw(member)))
const move = choice.map((partition) => new Happening(`move(${partition})`, (protocol) => protocol.move(partition)))
const rewind = fc
  .tuple(fc.integer({ min: 1, max: 24 }), fc.boolean())
  .map(([count, anew]) => new Happening(`rewind(${count}, ${anew})`, (protocol) => protocol.rewind(count, anew)))

/** Somebody sleeps while the store is emptied and filled again, and wakes in another life. */
const relive = fc.tuple(choice, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 4, max: 40 })).map(
  ([member, before, after]) =>
    new Happening(`relive(${member}, ${before}, ${after})`, async (protocol) => {
      await protocol.freeze(member)
      for (let n = 0; n < before; n += 1) await protocol.step(n, n)
      await protocol.empty()
      for (let n = 0; n < after; n += 1) await protocol.step(n, 0)
      protocol.thaw(0)
    }),
)
const empty = fc.constant(new Happening('empty', (protocol) => protocol.empty()))

/** Steps mostly: a crash that meets a batch half-way is worth more than ten at its beginning. */
export function happenings(withRewinds: boolean): fc.Arbitrary<Iterable<Command>> {
  const often = Array.from({ length: 10 }, () => step)
  const seldom = [crash, freeze, thaw, move, loseReply, ...(withRewinds ? [rewind, empty, relive] : [])]
  return fc.commands<object, Protocol, false>([...often, ...seldom], { maxCommands: 120, size: 'max' })
}

export const setups = fc.record({
  seed: fc.nat({ max: 1_000_000 }),
  partitions: fc.integer({ min: 2, max: 3 }),
  events: fc.integer({ min: 8, max: 40 }),
  batchMax: fc.integer({ min: 1, max: 6 }),
})
