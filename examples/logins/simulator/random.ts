/** A small seeded generator (mulberry32): the same seeds give the same numbers everywhere. */
export class Random {
  #state: number

  /** Whole numbers; each combination of them is a sequence of its own. */
  constructor(...seeds: readonly number[]) {
    this.#state = seeds.reduce((state, seed) => mixed(state ^ (seed + 0x9e3779b9)), 0x2545f491)
  }

  /** From 0 on, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    return mixed(this.#state) / 2 ** 32
  }

  /** A whole number from 0 on, below this one. */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  chance(share: number): boolean {
    return this.next() < share
  }
}

function mixed(value: number): number {
  let mix = Math.imul(value ^ (value >>> 15), value | 1)
  mix ^= mix + Math.imul(mix ^ (mix >>> 7), mix | 61)
  return (mix ^ (mix >>> 14)) >>> 0
}
