import { MersenneTwister } from './mersenne-twister.ts'

/**
 * The part of CPython's `random` that the data set is drawn with, bit for bit.
 * Source: the Python library reference and `Lib/random.py` (choice, sample) of Python 3.2 and later.
 */
export class PythonRandom {
  readonly #twister = new MersenneTwister()

  constructor(seed: number) {
    this.seed(seed)
  }

  /** `random.seed(seed)` with an integer in [0, 2^32). */
  seed(seed: number): void {
    this.#twister.seedByArray(seed)
  }

  /** Uniform in 0..n−1, as `random.choice` draws its index. `n` is in [1, 2^31]. */
  below(n: number): number {
    if (!(n >= 1 && n <= 0x80000000)) throw new Error(`cannot choose among ${n}`)
    const shift = Math.clz32(n)
    let r: number
    do r = this.#twister.nextUint32() >>> shift
    while (r >= n)
    return r
  }

  /** `random.sample(range(n), k)`: k different indices of 0..n−1, in the order drawn. */
  sample(n: number, k: number): Uint32Array {
    if (!(k >= 0 && k <= n)) throw new Error(`cannot sample ${k} of ${n}`)
    const chosen = new Uint32Array(k)
    if (n <= poolSizeMax(k)) {
      const pool = Uint32Array.from({ length: n }, (_, i) => i)
      for (let i = 0; i < k; i += 1) {
        const j = this.below(n - i)
        chosen[i] = pool[j] ?? 0
        pool[j] = pool[n - i - 1] ?? 0
      }
      return chosen
    }
    const seen = new Set<number>()
    for (let i = 0; i < k; i += 1) {
      let j: number
      do j = this.below(n)
      while (seen.has(j))
      seen.add(j)
      chosen[i] = j
    }
    return chosen
  }
}

/** Up to this many, Python copies the list and takes from it; above, it remembers what it took. */
function poolSizeMax(k: number): number {
  return k > 5 ? 21 + 4 ** Math.ceil(Math.log(k * 3) / Math.log(4)) : 21
}
