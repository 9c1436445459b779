import { NumpyRandom } from './numpy-random.ts'
import type { Population, WorldOptions } from './population.ts'
import { PythonRandom } from './python-random.ts'

/** Rows as they are drawn: by customer, then by day, then in the order of the draws. */
export interface PaymentRows {
  readonly length: number
  /** Seconds since day 0, 00:00. */
  readonly second: Uint32Array
  readonly customer: Uint32Array
  readonly terminal: Uint32Array
  readonly cents: Float64Array
}

export const daySeconds = 86_400
const noonSecond = 43_200
const timeSpreadSeconds = 20_000
/** Share of the normal times of day that fall between midnight and midnight. */
const keptShare = 0.9692

/** How many payments a day brings on average. */
export function expectedPaymentsPerDay(population: Population): number {
  let sum = 0
  for (let c = 0; c < population.customers; c += 1) {
    if (nearbyCount(population, c) > 0) sum += population.paymentsPerDay[c] ?? 0
  }
  return sum * keptShare
}

/**
 * Draws each customer's payments from day 0 until, not including, `untilDay[customer]`. A customer's days follow
 * from one seed, so no day can be drawn without those before it; customers are independent of each other.
 */
export function drawPayments(population: Population, world: WorldOptions, untilDay: Uint32Array): PaymentRows {
  const buffer = new RowBuffer(Math.ceil(expectedRows(population, untilDay) * 1.02) + 1_000)
  const numpy = new NumpyRandom(0)
  const python = new PythonRandom(0)
  for (let c = 0; c < population.customers; c += 1) {
    const rate = population.paymentsPerDay[c] ?? 0
    const mean = population.meanAmount[c] ?? 0
    const first = population.nearbyStart[c] ?? 0
    const choices = nearbyCount(population, c)
    // Without a terminal in reach the draws have no effect, and no other customer uses this seed.
    if (choices === 0) continue
    numpy.seed(world.seedOffset + c)
    python.seed(world.seedOffset + c)
    const until = untilDay[c] ?? 0
    for (let day = 0; day < until; day += 1) {
      for (let left = numpy.poisson(rate); left > 0; left -= 1) {
        const time = Math.trunc(numpy.normal(noonSecond, timeSpreadSeconds))
        if (time <= 0 || time >= daySeconds) continue
        const cents = drawCents(numpy, mean)
        const terminal = population.nearby[first + python.below(choices)] ?? 0
        buffer.add(day * daySeconds + time, c, terminal, cents)
      }
    }
  }
  return buffer.rows()
}

/** Normal around the customer's mean; a negative one is drawn again, evenly from 0 to twice the mean. */
export function drawCents(random: NumpyRandom, mean: number): number {
  let amount = random.normal(mean, mean / 2)
  if (amount < 0) amount = random.uniform(0, mean * 2)
  return roundHalfEven(amount * 100)
}

/** As numpy rounds: a tie goes to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}

function nearbyCount(population: Population, customer: number): number {
  return (population.nearbyStart[customer + 1] ?? 0) - (population.nearbyStart[customer] ?? 0)
}

function expectedRows(population: Population, untilDay: Uint32Array): number {
  let sum = 0
  for (let c = 0; c < population.customers; c += 1) sum += (population.paymentsPerDay[c] ?? 0) * (untilDay[c] ?? 0)
  return sum * keptShare
}

/** Columns that grow; sized so that they rarely have to. */
class RowBuffer {
  #length = 0
  #second: Uint32Array
  #customer: Uint32Array
  #terminal: Uint32Array
  #cents: Float64Array

  constructor(capacity: number) {
    this.#second = new Uint32Array(capacity)
    this.#customer = new Uint32Array(capacity)
    this.#terminal = new Uint32Array(capacity)
    this.#cents = new Float64Array(capacity)
  }

  add(second: number, customer: number, terminal: number, cents: number): void {
    if (this.#length === this.#second.length) this.#grow()
    const row = this.#length
    this.#second[row] = second
    this.#customer[row] = customer
    this.#terminal[row] = terminal
    this.#cents[row] = cents
    this.#length = row + 1
  }

  rows(): PaymentRows {
    const length = this.#length
    return {
      length,
      second: this.#second.subarray(0, length),
      customer: this.#customer.subarray(0, length),
      terminal: this.#terminal.subarray(0, length),
      cents: this.#cents.subarray(0, length),
    }
  }

  #grow(): void {
    const capacity = this.#second.length * 2
    const wider = (old: Uint32Array) => {
      const column = new Uint32Array(capacity)
      column.set(old)
      return column
    }
    this.#second = wider(this.#second)
    this.#customer = wider(this.#customer)
    this.#terminal = wider(this.#terminal)
    const cents = new Float64Array(capacity)
    cents.set(this.#cents)
    this.#cents = cents
  }
}
