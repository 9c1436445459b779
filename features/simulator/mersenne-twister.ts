const size = 624
const half = 397

/**
 * MT19937, the generator below both numpy's legacy RandomState and CPython's `random`: 32 bits a draw.
 * Source: Matsumoto and Nishimura 1998, reference code mt19937ar (2002).
 */
export class MersenneTwister {
  readonly #state = new Uint32Array(size)
  #next = size

  /** `init_genrand`: how numpy seeds it. `seed` is an unsigned 32-bit integer. */
  seed(seed: number): void {
    const state = this.#state
    let last = seed >>> 0
    state[0] = last
    for (let i = 1; i < size; i += 1) {
      last = (Math.imul(1812433253, last ^ (last >>> 30)) + i) >>> 0
      state[i] = last
    }
    this.#next = size
  }

  /** `init_by_array` with one word: how CPython seeds it with an integer below 2^32. */
  seedByArray(word: number): void {
    this.seed(19650218)
    const state = this.#state
    let last = state[0] ?? 0
    let i = 1
    for (let round = 0; round < size; round += 1) {
      // The key has one word, so its index is always 0.
      last = ((at(state, i) ^ Math.imul(last ^ (last >>> 30), 1664525)) + word) >>> 0
      state[i] = last
      i += 1
      if (i === size) i = 1
    }
    for (let round = 0; round < size - 1; round += 1) {
      last = ((at(state, i) ^ Math.imul(last ^ (last >>> 30), 1566083941)) - i) >>> 0
      state[i] = last
      i += 1
      if (i === size) i = 1
    }
    state[0] = 0x80000000
    this.#next = size
  }

  /** `genrand_int32`: an unsigned 32-bit integer. */
  nextUint32(): number {
    if (this.#next === size) this.#twist()
    let y = at(this.#state, this.#next)
    this.#next += 1
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    y ^= y >>> 18
    return y >>> 0
  }

  /** `genrand_res53`: uniform in [0, 1) with 53 bits, from two draws. */
  nextDouble(): number {
    const high = this.nextUint32() >>> 5
    const low = this.nextUint32() >>> 6
    return (high * 67108864 + low) / 9007199254740992
  }

  #twist(): void {
    const state = this.#state
    let i = 0
    for (; i < size - half; i += 1) state[i] = at(state, i + half) ^ mixed(at(state, i), at(state, i + 1))
    for (; i < size - 1; i += 1) state[i] = at(state, i + half - size) ^ mixed(at(state, i), at(state, i + 1))
    state[size - 1] = at(state, half - 1) ^ mixed(at(state, size - 1), at(state, 0))
    this.#next = 0
  }
}

function mixed(upper: number, lower: number): number {
  const y = (upper & 0x80000000) | (lower & 0x7fffffff)
  return (y >>> 1) ^ (lower & 1 ? 0x9908b0df : 0)
}

/** The index is always inside: the compiler cannot know, and a check here would cost a tenth of the whole run. */
function at(state: Uint32Array, index: number): number {
  return state[index] as number
}
