import { MersenneTwister } from './mersenne-twister.ts'

/**
 * The part of numpy's legacy `RandomState` that the data set is drawn with, bit for bit (as far as `Math.log` and
 * `Math.exp` agree with the C library, which the golden checksum shows for every draw of the data set).
 * Source: numpy's frozen definition of RandomState (NEP 19), `legacy-distributions`.
 */
export class NumpyRandom {
  readonly #twister = new MersenneTwister()
  #spareGauss = 0
  #hasSpareGauss = false

  constructor(seed: number) {
    this.seed(seed)
  }

  /** Starts over. Forgets the spare normal value, as numpy does. */
  seed(seed: number): void {
    this.#twister.seed(seed)
    this.#hasSpareGauss = false
  }

  /** [0, 1) */
  double(): number {
    return this.#twister.nextDouble()
  }

  uniform(low: number, high: number): number {
    return low + (high - low) * this.#twister.nextDouble()
  }

  /** The polar method, which makes two values and keeps one for the next call. */
  normal(mean: number, std: number): number {
    if (this.#hasSpareGauss) {
      this.#hasSpareGauss = false
      return mean + std * this.#spareGauss
    }
    let x1: number
    let x2: number
    let r2: number
    do {
      x1 = 2 * this.#twister.nextDouble() - 1
      x2 = 2 * this.#twister.nextDouble() - 1
      r2 = x1 * x1 + x2 * x2
    } while (r2 >= 1 || r2 === 0)
    const f = Math.sqrt((-2 * Math.log(r2)) / r2)
    this.#spareGauss = f * x1
    this.#hasSpareGauss = true
    return mean + std * (f * x2)
  }

  /** Multiplies uniforms until the product falls to exp(−rate). numpy does so below 10 and otherwise differently. */
  poisson(rate: number): number {
    if (!(rate >= 0 && rate < 10)) throw new Error(`the rate must be in [0, 10), not ${rate}`)
    if (rate === 0) return 0
    const floor = Math.exp(-rate)
    let count = 0
    let product = this.#twister.nextDouble()
    while (product > floor) {
      count += 1
      product *= this.#twister.nextDouble()
    }
    return count
  }

  /** 0..length−1 in random order: Fisher-Yates from the end, with rejection under a bit mask. */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i)
    for (let i = length - 1; i > 0; i -= 1) {
      const mask = 0xffffffff >>> Math.clz32(i)
      let j: number
      do j = (this.#twister.nextUint32() & mask) >>> 0
      while (j > i)
      const moved = order[i] ?? 0
      order[i] = order[j] ?? 0
      order[j] = moved
    }
    return order
  }
}
