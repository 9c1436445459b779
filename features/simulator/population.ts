import { NumpyRandom } from './numpy-random.ts'

/** Size and seed of the simulated world. The defaults are the published data set's. */
export interface WorldOptions {
  readonly customers: number
  readonly terminals: number
  /** Length of the data set; days are numbered from 0. */
  readonly days: number
  /** A customer pays at terminals that are nearer than this, on a grid of 100 × 100. */
  readonly radius: number
  /** Added to every seed: another number is another world of the same kind. */
  readonly seedOffset: number
}

export const publishedWorld: WorldOptions = Object.freeze({
  customers: 5_000,
  terminals: 10_000,
  days: 183,
  radius: 5,
  seedOffset: 0,
})

/** Who pays, how often, how much and where. Arrays are indexed by customer. */
export interface Population {
  readonly customers: number
  readonly terminals: number
  /** Mean amount in currency units; the standard deviation is half of it. */
  readonly meanAmount: Float64Array
  readonly paymentsPerDay: Float64Array
  /** A customer's terminals, ascending: `nearby[nearbyStart[c]]` up to, not including, `nearby[nearbyStart[c + 1]]`. */
  readonly nearby: Uint32Array
  readonly nearbyStart: Uint32Array
}

const gridSize = 100

/** Draws customers and terminals. A customer may be out of reach of every terminal: then it never pays. */
export function generatePopulation(world: WorldOptions): Population {
  const { customers, terminals, seedOffset } = world
  const customerRandom = new NumpyRandom(seedOffset)
  const customerX = new Float64Array(customers)
  const customerY = new Float64Array(customers)
  const meanAmount = new Float64Array(customers)
  const paymentsPerDay = new Float64Array(customers)
  for (let c = 0; c < customers; c += 1) {
    customerX[c] = customerRandom.uniform(0, gridSize)
    customerY[c] = customerRandom.uniform(0, gridSize)
    meanAmount[c] = customerRandom.uniform(5, 100)
    paymentsPerDay[c] = customerRandom.uniform(0, 4)
  }
  const terminalRandom = new NumpyRandom(seedOffset + 1)
  const terminalX = new Float64Array(terminals)
  const terminalY = new Float64Array(terminals)
  for (let t = 0; t < terminals; t += 1) {
    terminalX[t] = terminalRandom.uniform(0, gridSize)
    terminalY[t] = terminalRandom.uniform(0, gridSize)
  }
  const nearby: number[] = []
  const nearbyStart = new Uint32Array(customers + 1)
  for (let c = 0; c < customers; c += 1) {
    const x = customerX[c] ?? 0
    const y = customerY[c] ?? 0
    for (let t = 0; t < terminals; t += 1) {
      const dx = x - (terminalX[t] ?? 0)
      // Most terminals are too far in one direction already: skips the root for those.
      if (dx >= world.radius || dx <= -world.radius) continue
      const dy = y - (terminalY[t] ?? 0)
      if (Math.sqrt(dx * dx + dy * dy) < world.radius) nearby.push(t)
    }
    nearbyStart[c + 1] = nearby.length
  }
  return { customers, terminals, meanAmount, paymentsPerDay, nearby: Uint32Array.from(nearby), nearbyStart }
}
