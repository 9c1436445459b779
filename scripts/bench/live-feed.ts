import { labelDelayMs } from './feed.ts'
import { liveTraffic } from '../../features/simulator/live-traffic.ts'
import type { SimulatedEvent } from '../../features/simulator/payment-events.ts'
import { worldOf } from '../../features/simulator/payments.ts'
import { generatePopulation } from '../../features/simulator/population.ts'

export interface LiveOptions {
  readonly seed: number
  /** Must differ between two calls on one log. */
  readonly idPrefix: string
  readonly payments: number
}

/** Payments that happen when they are read, of the population of the published data set. */
export type LiveFeed = (options: LiveOptions) => Iterable<SimulatedEvent>

/** `originMs`: when day 0 of the history began. */
export function openLiveFeed(originMs: number): LiveFeed {
  const world = worldOf({})
  const population = generatePopulation(world)
  return (options) => liveTraffic({ world, population, originMs, nowMs: () => Date.now(), labelDelayMs, ...options })
}
